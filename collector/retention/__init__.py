"""What of a bucket is missing, how late it comes, and how long there is left. Nothing here asks AWS."""
