//! The media server's side of the program: shards, handshake threads, and the control loop between gateway and shards.

use anyhow::Result;
use tidewire_core::message::Event;
use tidewire_gateway::link::Question;
use tokio::sync::mpsc;

use crate::addresses::Addresses;
use crate::metrics::Counts;
use crate::report::Packets;
use crate::settings::Settings;

/// The running media server.
#[derive(Debug)]
pub(crate) struct Media {
    _questions: mpsc::Receiver<Question>,
    _events: mpsc::Sender<Event>,
}

impl Media {
    pub(crate) fn start(
        _settings: &Settings,
        _addresses: &Addresses,
        questions: mpsc::Receiver<Question>,
        events: mpsc::Sender<Event>,
    ) -> Result<Self> {
        Ok(Self { _questions: questions, _events: events })
    }

    /// What it runs on, for the report.
    pub(crate) fn packets(&self) -> Packets {
        Packets {
            io: "none".to_owned(),
            driver: "none".to_owned(),
            uring: Err("no shard is wired yet".to_owned()),
            ports: vec![],
        }
    }

    /// Asks every shard's published counters; never blocks.
    pub(crate) fn counts(&self) -> impl Fn() -> Counts + Send + Sync + 'static {
        Vec::new
    }

    /// Ends every connection properly and every thread, within `SHUTDOWN_MAX`.
    pub(crate) async fn stop(self) {}
}
