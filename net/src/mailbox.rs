//! Bounded queues into a thread that sleeps in the kernel.
//!
//! Any thread sends; one thread receives. A full mailbox gives the letter back at once, so no sender ever blocks and no
//! queue ever grows. The receiver's `Waker` is rung after each letter; several mailboxes of one thread share it. Memory is
//! claimed when the mailbox is made. Not on the path of a packet.

use std::sync::mpsc::{self, SyncSender, TrySendError};

use crate::wake::Waker;

/// Makes a mailbox for `capacity` letters whose receiver is woken by `waker`.
pub fn bounded<T>(capacity: usize, waker: Waker) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::sync_channel(capacity);
    (Sender { queue: sender, waker }, Receiver { queue: receiver })
}

/// The sending end; clones send into the same mailbox.
#[derive(Debug)]
pub struct Sender<T> {
    queue: SyncSender<T>,
    waker: Waker,
}

impl<T> Sender<T> {
    /// Leaves a letter and wakes the receiver. Gives it back when the mailbox is full or the receiver is gone.
    pub fn send(&self, letter: T) -> Result<(), T> {
        self.queue.try_send(letter).map_err(|refused| match refused {
            TrySendError::Full(letter) | TrySendError::Disconnected(letter) => letter,
        })?;
        self.waker.wake();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), waker: self.waker.clone() }
    }
}

/// The receiving end. The receiver clears its `Waker` before it drains, so that no letter waits unseen.
#[derive(Debug)]
pub struct Receiver<T> {
    queue: mpsc::Receiver<T>,
}

impl<T> Receiver<T> {
    /// The next letter, if there is one. Never blocks.
    pub fn receive(&mut self) -> Option<T> {
        self.queue.try_recv().ok()
    }

    /// The letters that are there, one by one.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.receive())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_mailbox_gives_the_letter_back() {
        let (sender, mut receiver) = bounded(2, Waker::new().unwrap());
        assert_eq!(sender.send(1), Ok(()));
        assert_eq!(sender.clone().send(2), Ok(()));
        assert_eq!(sender.send(3), Err(3));
        assert_eq!(receiver.drain().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(sender.send(4), Ok(()));
        drop(receiver);
        assert_eq!(sender.send(5), Err(5));
    }

    #[test]
    fn letter_wakes_the_receiver() {
        let waker = Waker::new().unwrap();
        let (sender, mut receiver) = bounded(1, waker.clone());
        sender.send('a').unwrap();
        waker.wait(None);
        waker.clear();
        assert_eq!(receiver.receive(), Some('a'));
    }
}
