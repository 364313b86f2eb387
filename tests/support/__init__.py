"""What several test modules share: the real peers, base images, comparison of images."""
