//! A token bucket for callers of limited services: several limits taken at once, first come first served, pauses on Retry-After.
