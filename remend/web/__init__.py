"""The service over HTTP: an API for programs and pages for people, with one authorisation for both."""
