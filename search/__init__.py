"""The search itself: proposing candidates, running trials, recording them."""
