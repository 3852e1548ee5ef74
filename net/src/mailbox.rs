//! Bounded queues into a thread that sleeps in the kernel.
//!
//! Any thread sends; one thread receives. A full mailbox gives the letter back at once, so no sender ever blocks and no
//! queue ever grows. The receiver's `Waker` is rung after each letter; several mailboxes of one thread share it. Memory is
//! claimed when the mailbox is made. Not on the path of a packet.
//!
//! Invariant: nobody waits for the other end. Its thread may have been put off its core in the middle of a letter, by the very
//! thread that would wait for it (see `precedence`). So a queue that is taken by somebody else counts as empty, or as full after
//! a few more tries; whoever had it rings the waker.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::wake::Waker;

/// Makes a mailbox for `capacity` letters whose receiver is woken by `waker`.
pub fn bounded<T>(capacity: usize, waker: Waker) -> (Sender<T>, Receiver<T>) {
    let letters = Some(VecDeque::with_capacity(capacity));
    let queue = Arc::new(Queue { letters: Mutex::new(letters), capacity });
    (Sender { queue: Arc::clone(&queue), waker }, Receiver { queue })
}

#[derive(Debug)]
struct Queue<T> {
    /// Nothing once the receiver is gone.
    letters: Mutex<Option<VecDeque<T>>>,
    capacity: usize,
}

impl<T> Queue<T> {
    /// The letters, unless another thread has them at this moment.
    fn take(&self) -> Option<MutexGuard<'_, Option<VecDeque<T>>>> {
        match self.letters.try_lock() {
            Ok(letters) => Some(letters),
            // Nothing that is done under the lock leaves the queue half changed.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The same after a few tries: a thread on another core is done in a moment.
    fn take_patiently(&self) -> Option<MutexGuard<'_, Option<VecDeque<T>>>> {
        (0..TRIES).find_map(|_| {
            std::hint::spin_loop();
            self.take()
        })
    }

    fn push(&self, letter: T) -> Result<(), T> {
        let Some(mut letters) = self.take_patiently() else { return Err(letter) };
        match letters.as_mut().filter(|letters| letters.len() < self.capacity) {
            Some(letters) => letters.push_back(letter),
            None => return Err(letter),
        }
        Ok(())
    }
}

/// The sending end; clones send into the same mailbox.
#[derive(Debug)]
pub struct Sender<T> {
    queue: Arc<Queue<T>>,
    waker: Waker,
}

impl<T> Sender<T> {
    /// Leaves a letter and wakes the receiver. Gives it back when the mailbox is full or taken, or the receiver is gone.
    pub fn send(&self, letter: T) -> Result<(), T> {
        let left = self.queue.push(letter);
        // After a refusal as well: the receiver may have looked while the queue was taken, and found it empty.
        self.waker.wake();
        left
    }

    /// Whether both send into the same mailbox.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), waker: self.waker.clone() }
    }
}

/// The receiving end. The receiver clears its `Waker` before it drains, so that no letter waits unseen.
#[derive(Debug)]
pub struct Receiver<T> {
    queue: Arc<Queue<T>>,
}

impl<T> Receiver<T> {
    /// The next letter, if there is one. Never blocks.
    pub fn receive(&mut self) -> Option<T> {
        self.queue.take()?.as_mut()?.pop_front()
    }

    /// The letters that are there, one by one.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.receive())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.queue.letters.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(left);
    }
}

/// Tries to send while others have the queue: a few microseconds, and much longer than a letter takes.
const TRIES: usize = 256;

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
    fn nobody_waits_for_a_thread_that_stopped_in_the_middle_of_a_letter() {
        let waker = Waker::new().unwrap();
        let (sender, mut receiver) = bounded(2, waker);
        sender.send(1).unwrap();
        let queue = Arc::clone(&receiver.queue);
        let held = queue.letters.lock().unwrap();
        assert_eq!((receiver.receive(), sender.send(2)), (None, Err(2)));
        drop(held);
        assert_eq!((receiver.receive(), sender.send(2)), (Some(1), Ok(())));
    }

    #[test]
    fn letters_of_many_threads_all_arrive_each_threads_in_order() {
        let waker = Waker::new().unwrap();
        let (sender, mut receiver) = bounded(8, waker.clone());
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for number in 0..1000 {
                        while sender.send((thread, number)).is_err() {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut next = [0; 4];
        while next != [1000; 4] {
            waker.wait(None);
            waker.clear();
            for (thread, number) in receiver.drain() {
                assert_eq!(std::mem::replace(&mut next[thread], number + 1), number);
            }
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
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
