//! What is counted of the hall, for metrics and their reference.

/// What is counted of the hall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub clients: usize,
    pub channels: usize,
    pub connections: usize,
    /// Messages and events that were given up, since clients did not read.
    pub messages_given_up: u64,
    pub events_given_up: u64,
}

impl Figures {
    /// What there is at present, with its name and what it means, for metrics and their reference.
    pub fn present(self) -> [(&'static str, &'static str, usize); 3] {
        [
            (
                "clients",
                "Registered clients, those among them whose socket is lost and whose lease runs.",
                self.clients,
            ),
            ("channels", "Channels with anybody or anything in them.", self.channels),
            (
                "connections",
                "Connections of clients and sessions of WHIP and WHEP, being opened or open.",
                self.connections,
            ),
        ]
    }

    /// The same of what was counted since the start.
    pub fn counted(self) -> [(&'static str, &'static str, u64); 2] {
        [
            (
                "client_messages_given_up",
                "Messages that clients lost, since they did not read.",
                self.messages_given_up,
            ),
            (
                "client_events_given_up",
                "Other events that clients lost likewise; they were told the state instead.",
                self.events_given_up,
            ),
        ]
    }
}
