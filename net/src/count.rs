//! What the packet I/Os count, beside what their machine counts: one registry in the manner of `core::count`.
//!
//! Only the owning shard adds; it publishes copies. Nothing here knows who reads them.

use tidewire_core::registry;

registry! {
    /// What happened between a shard and the kernel.
    IoCounter {
        /// Datagrams taken off the sockets.
        DatagramsIn = "io_datagrams_in",
        /// Messages taken off the sockets; one may hold several datagrams (UDP_GRO).
        MessagesIn = "io_messages_in",
        /// UDP payload bytes taken off the sockets.
        BytesIn = "io_bytes_in",
        /// Received datagrams that were longer than any that is looked at.
        OversizedIn = "io_oversized_in",
        /// Datagrams that the kernel dropped since the receive buffer was full.
        DroppedIn = "io_dropped_in",
        /// Receives that the kernel ended with an error.
        ReceiveFailed = "io_receive_failed",
        /// Times a multishot receive was armed again since it had run out of slots.
        SlotsExhausted = "io_slots_exhausted",
        /// Times a multishot receive was armed again for another reason.
        Rearmed = "io_rearmed",
        /// Times the completion queue overran.
        CompletionOverruns = "io_completion_overruns",
        /// Datagrams handed to the kernel.
        DatagramsOut = "io_datagrams_out",
        /// Messages handed to the kernel; one may hold several datagrams (UDP_SEGMENT).
        MessagesOut = "io_messages_out",
        /// UDP payload bytes handed to the kernel.
        BytesOut = "io_bytes_out",
        /// Datagrams not sent since the send buffer was full.
        SendBufferFull = "io_send_buffer_full",
        /// Datagrams that the kernel refused to send.
        SendFailed = "io_send_failed",
        /// Trains that the kernel refused and that went out one by one.
        TrainsRefused = "io_trains_refused",
        /// Times a viewer got a socket of its own, connected to it.
        Connected = "io_connected",
        /// Times a viewer got none though there could be one: no place was left, or the kernel would send from another address.
        NotConnected = "io_not_connected",
        /// Flushes ahead of time, since the egress was full.
        EarlyFlushes = "io_early_flushes",
        /// Turns of the shard.
        Turns = "shard_turns",
        /// Times the shard went to sleep.
        Sleeps = "shard_sleeps",
        /// Times a handshake request had to wait for room in the pool's queue.
        HandshakesHeld = "shard_handshakes_held",
        /// Turns that took longer than the stall bound.
        TurnStalls = "shard_turn_stalls",
        /// Sleeps that ended later than asked, by more than the bound: the shard was ready, its core was not.
        SleepOvershoots = "shard_sleep_overshoots",
    }
}

registry! {
    /// What is a measure and no count: it falls again.
    ShardGauge {
        /// The longest turn of the last 15 to 30 seconds, in nanoseconds.
        TurnMax = "turn_nanoseconds_max",
        /// The longest time by which a sleep of the last 15 to 30 seconds ended late, in nanoseconds.
        OvershootMax = "sleep_overshoot_nanoseconds_max",
    }
}

/// Counts of everything in the registry.
#[derive(Clone, Debug)]
pub struct IoTally([u64; IoCounter::ALL.len()]);

impl Default for IoTally {
    fn default() -> Self {
        Self([0; IoCounter::ALL.len()])
    }
}

impl IoTally {
    pub fn count(&mut self, counter: IoCounter) {
        self.add(counter, 1);
    }

    pub fn add(&mut self, counter: IoCounter, n: usize) {
        self.0[counter as usize] += n as u64;
    }

    /// For what is itself a running total, such as the kernel's own count of drops.
    pub fn set(&mut self, counter: IoCounter, total: u64) {
        self.0[counter as usize] = total;
    }

    pub fn of(&self, counter: IoCounter) -> u64 {
        self.0[counter as usize]
    }

    /// All values in the order of the registry.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().copied()
    }
}
