"""What ``prune`` does with what lies beside archives that are gone."""

from __future__ import annotations

from tests.catalogues import archive
from tests.commands.filling import CYCLE, put
from tests.commands.test_prune import FIRST, LATER, seed
from tests.site import FIRST_DAY, Site


def test_sums_without_an_archive_go_if_they_are_ours(any_site: Site) -> None:
    site = any_site
    site.configure_cycle(CYCLE)
    source = f"Directory {site.source}"
    ours = archive(site.name(), 4, FIRST, source=source)
    theirs = archive("etc", 4, FIRST, host="far-host")
    unowned = archive("srv/gone", 4, FIRST, source="Directory /srv/gone")
    seed(site, archive(site.name(), 0, FIRST, source=source), ours, theirs, unowned)
    put(site, "photo-4.sha256", {}, b"ab  photo-4\n")
    for each in (ours, theirs, unowned):
        site.store().delete(each.key)
    before = site.contents()
    young = site.run("prune", "--yes", day=FIRST_DAY).stdout
    assert f"stays         {ours.key}.sha256: there is no such archive any more; but it is younger than" in young
    assert theirs.key not in young
    assert site.contents() == before
    shown = site.run("prune", day=LATER).stdout
    assert f"would delete  {ours.key}.sha256: there is no such archive any more" in shown
    assert site.contents() == before
    assert "deleted 1 checksum\n" in site.run("prune", "--yes", day=LATER).stdout
    assert set(before) - set(site.archive_keys(sums=True)) == {f"{ours.key}.sha256"}
    site.run("prune", "--yes", "--unowned", day=LATER)
    assert f"{unowned.key}.sha256" not in site.archive_keys(sums=True)
    assert {f"{theirs.key}.sha256", "photo-4.sha256"} <= set(site.archive_keys(sums=True))
