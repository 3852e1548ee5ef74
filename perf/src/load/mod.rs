//! Load scenarios: plans that do not wait, viewers that cost nothing, and reports that are refused where they would mislead.
//!
//! [`Setup`] says who publishes and who watches, [`Target`] against whom. A [`Rig`] is a target with everybody in their
//! seats; it is measured in windows. [`compare`] measures several targets in turns. Everything of the tool that is timed
//! runs on one thread of one core, servers on another; delay counts from the planned send time to the kernel's receive
//! timestamp, so that neither the tool's lateness in reading nor a server that holds the publisher up can hide.

mod setup;
mod target;
mod plan;
mod filter;
mod feedback;
mod source;
mod heard;
mod seen;
mod viewer;
mod tally;
mod inbox;
mod delays;
mod reactor;
mod joining;
mod rig;
mod window;
mod report;
mod spread;
mod compare;
mod scenario;

pub use compare::{Comparison, Schedule, compare};
pub use delays::Calm;
pub use feedback::Feedback;
pub use inbox::Inbox;
pub use plan::{Pacing, Video};
pub use report::{Points, window_line};
pub use rig::Rig;
pub use scenario::{Outcome, Run, churn, idle, memory, storm};
pub use setup::{Receivers, Setup, Shape};
pub use spread::Spread;
pub use tally::Tally;
pub use target::{Kind, Running, Target};
pub use window::{Bounds, Faults, Window};
