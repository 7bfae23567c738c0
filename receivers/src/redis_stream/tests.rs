//! Against real servers, with a sink of its own behind it.

mod claiming;
mod ends;
mod faults;
mod letters;
mod many;
mod messages;
mod modern;
mod order;
mod priority;
mod reading;
mod retrying;
mod rig;
mod sections;
