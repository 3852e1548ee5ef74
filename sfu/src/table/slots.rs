//! A vector of places that are taken and given back; who holds a number finds its entry without a search.

#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Option<T>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(crate) fn at(&self, slot: u32) -> Option<&T> {
        self.places.get(slot as usize)?.as_ref()
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.places.get_mut(slot as usize)?.as_mut()
    }

    /// Puts an entry in its place; what was there before is returned.
    pub(crate) fn put(&mut self, slot: u32, entry: T) -> Option<T> {
        let at = slot as usize;
        if at >= self.places.len() {
            self.places.resize_with(at + 1, || None);
        }
        self.places[at].replace(entry)
    }

    pub(crate) fn take(&mut self, slot: u32) -> Option<T> {
        self.places.get_mut(slot as usize)?.take()
    }

    /// Places, taken or not: every slot is below this.
    pub(crate) fn len(&self) -> u32 {
        self.places.len() as u32
    }

    /// The taken places, ascending.
    pub(crate) fn taken(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.places).filter(|(_, place)| place.is_some()).map(|(slot, _)| slot)
    }
}
