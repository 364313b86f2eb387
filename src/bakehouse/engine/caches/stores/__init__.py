"""Services that keep a build cache: GitHub's Actions cache, S3, Azure Blob Storage. One module a service."""
