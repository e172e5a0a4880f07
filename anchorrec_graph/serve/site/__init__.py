"""The page as files that any web server can hand out: what a server would compute, the browser does."""
