"""Single sign-on by OpenID Connect: which providers there are, what their tokens have to prove, and who somebody then is.

Nothing here knows HTTP requests of browsers; `console.sso` ties it to allauth.
"""
