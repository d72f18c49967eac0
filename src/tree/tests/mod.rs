//! The core without FUSE, over a disk and a service that outlive it: one life of a process after another.

mod away;
mod crash;
mod faults;
mod life;
mod model;
mod rig;
mod script;
mod sealed;
