"""How an archive is opened, of whatever kind it is: fetched, compared with its sum, proved, decrypted, decompressed."""
