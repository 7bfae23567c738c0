//! The alert state machine, whatever evaluates the condition.
