//! The contracts between the engine and the components, on one card.
