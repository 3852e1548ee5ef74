//! Forwarding: the table of connections, their upstreams and downstreams, and the control that opens and closes them.
//!
//! [`SessionTable`] is the pure machine that a shard drives: datagrams, commands, handshake progress and the time go in;
//! sealed datagrams and events come out. [`Control`] decides what the gateway's requests mean: it negotiates, places and
//! names connections, and speaks to the tables in commands. Neither reads a clock or opens a socket.
//!
//! In the order of a packet's way: `table` (which connection?), `connection` (authentic?), `arrivals` (when?), `upstream`
//! (which stream, and is it new?), `speakers` (is it among the loudest?), `fanout` (to whom, within what budget?), `downstream`
//! (under which numbers?).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arrivals;
mod command;
mod connection;
mod control;
mod delivery;
mod departures;
mod devotion;
mod downstream;
mod estimate;
mod fanout;
mod level;
pub mod limits;
mod notices;
mod paths;
mod roll;
mod round;
mod session;
mod speakers;
mod statistics;
mod table;
mod timers;
mod upstream;
mod waiting;

pub use command::{Carried, Command, Event, OpenDownstream, OpenUpstream, PublicationId, SessionId, Tells};
pub use control::{Control, Entropy, Handled, ShardPlan};
pub use delivery::Delivery;
pub use departures::Arrived;
pub use estimate::Estimate;
pub use table::{SessionTable, TableConfig};
