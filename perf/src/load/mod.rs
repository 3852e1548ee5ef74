//! Load scenarios: a plan that does not wait, viewers that cost little, and a report that says how far it can be trusted.
//!
//! [`fanout`] is one publisher and many viewers of one channel. Everything of the tool runs on one thread of one core, the
//! server on another; delay counts from the planned send time to the kernel's receive timestamp, so that neither the tool's
//! own lateness in reading nor a server that holds the publisher up can hide.

pub mod fanout;
pub mod plan;
mod reactor;
pub mod report;
mod viewer;
mod yardstick;

pub use fanout::{Fanout, Target, run};
pub use plan::Pacing;
pub use report::Report;
