//! From a plan to bytes: the connect plan, the connector, the pool and the attempt.
