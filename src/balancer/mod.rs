//! Which target serves an attempt: pure state machines over upstreams and their targets.
