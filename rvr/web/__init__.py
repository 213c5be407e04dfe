"""The desk over HTTP: pages for people, an API for programs, one list of routes with who may use each."""
