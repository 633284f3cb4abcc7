"""`stratos bench`: how fast, and how cheap, Stratos plans on this machine, for made-up sets or for one's own."""
