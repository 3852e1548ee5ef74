//! The dependency descriptor (AV1 RTP payload format, A.8), written by simulated publishers and read by model decoders.
//!
//! Templates are made from the prediction structure: one for each kind of frame that it has. Now and then a frame spells out
//! what its template says already, so that a reader has to know both ways.

use super::bits::{BitReader, Bits};
use super::structure::{Indication, PERIOD, Place, Structure};

/// What a frame has in common with others of its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Vec<Indication>,
    differences: Vec<u32>,
    /// Distance to the link before, of each chain; zero where there is none.
    chains: Vec<u32>,
}

impl Template {
    fn of(structure: Structure, place: Place) -> Self {
        let layers = u32::from(structure.spatial_layers);
        let number = |(picture, spatial): Place| picture * layers + u32::from(spatial);
        let link = |chain: u8| {
            let before = (0..number(place)).rev().map(|number| (number / layers, (number % layers) as u8));
            before.into_iter().find(|before| structure.is_in_chain(*before, chain))
        };
        let distance = |chain: u8| link(chain).map_or(0, |link| number(place) - number(link));
        Self {
            spatial: place.1,
            temporal: structure.temporal(place.0),
            indications: structure.targets().map(|target| structure.indication(place, target)).collect(),
            differences: structure.references(place).into_iter().map(|on| number(place) - number(on)).collect(),
            chains: (0..structure.spatial_layers).map(distance).collect(),
        }
    }
}

/// Writes the descriptors of one encoding.
#[derive(Clone, Debug)]
pub(super) struct DescriptorWriter {
    structure: Structure,
    templates: Vec<Template>,
    /// Indices of templates: of the key picture's layers, then those of a period.
    places: Vec<usize>,
    /// Moves on with each key picture, as a new structure's must.
    offset: u8,
    sizes: Vec<(u16, u16)>,
}

/// A packet, as its descriptor is to tell of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described {
    pub(super) place: Place,
    pub(super) number: u16,
    pub(super) starts: bool,
    pub(super) ends: bool,
    /// Whether everything is spelled out.
    pub(super) custom: bool,
}

impl DescriptorWriter {
    pub(super) fn new(structure: Structure, offset: u8, sizes: Vec<(u16, u16)>) -> Self {
        let layers = 0..structure.spatial_layers;
        let places = (0..=PERIOD).flat_map(|picture| layers.clone().map(move |spatial| (picture, spatial)));
        let all: Vec<_> = places.map(|place| Template::of(structure, place)).collect();
        // By layers, as they have to be listed.
        let mut templates = all.clone();
        templates.sort();
        templates.dedup();
        let places = all.iter().filter_map(|own| templates.binary_search(own).ok()).collect();
        Self { structure, templates, places, offset: offset % 64, sizes }
    }

    /// A new key picture: its templates are other ones.
    pub(super) fn renew(&mut self) {
        self.offset = (self.offset + self.templates.len() as u8) % 64;
    }

    pub(super) fn write(&self, packet: &Described) -> Vec<u8> {
        let id = self.template(packet.place);
        let mut bits = Bits::default();
        bits.flag(packet.starts);
        bits.flag(packet.ends);
        bits.put((id as u32 + u32::from(self.offset)) % 64, 6);
        bits.put(packet.number.into(), 16);
        let structured = packet.place == (0, 0) && packet.starts;
        if structured || packet.custom {
            bits.flag(structured);
            bits.flag(false);
            (0..3).for_each(|_| bits.flag(packet.custom));
            if structured {
                self.write_structure(&mut bits);
            }
            if packet.custom {
                write_custom(&self.templates[id], &mut bits);
            }
        }
        bits.bytes
    }

    fn template(&self, (picture, spatial): Place) -> usize {
        let position = if picture == 0 { 0 } else { (picture - 1) % PERIOD + 1 };
        self.places[position as usize * usize::from(self.structure.spatial_layers) + usize::from(spatial)]
    }

    fn write_structure(&self, bits: &mut Bits) {
        let targets: Vec<_> = self.structure.targets().collect();
        bits.put(self.offset.into(), 6);
        bits.put(targets.len() as u32 - 1, 5);
        self.write_layers(bits);
        self.templates.iter().for_each(|template| put_indications(&template.indications, bits));
        for template in &self.templates {
            for difference in &template.differences {
                bits.flag(true);
                bits.put(difference - 1, 4);
            }
            bits.flag(false);
        }
        let chains = u32::from(self.structure.spatial_layers);
        bits.put_one_of(chains, targets.len() as u32 + 1);
        targets.iter().for_each(|(spatial, _)| bits.put_one_of((*spatial).into(), chains));
        let differences = self.templates.iter().flat_map(|template| &template.chains);
        differences.for_each(|difference| bits.put(*difference, 4));
        bits.flag(true);
        for (width, height) in &self.sizes {
            bits.put(u32::from(*width) - 1, 16);
            bits.put(u32::from(*height) - 1, 16);
        }
    }

    /// A.8.3.1, `next_layer_idc`: same layer, next temporal, next spatial, end.
    fn write_layers(&self, bits: &mut Bits) {
        for pair in self.templates.windows(2) {
            let [before, next] = pair else { continue };
            let step = if next.spatial != before.spatial { 2 } else { u32::from(next.temporal != before.temporal) };
            bits.put(step, 2);
        }
        bits.put(3, 2);
    }
}

fn put_indications(indications: &[Indication], bits: &mut Bits) {
    indications.iter().for_each(|indication| bits.put(*indication as u32, 2));
}

fn write_custom(own: &Template, bits: &mut Bits) {
    put_indications(&own.indications, bits);
    for difference in &own.differences {
        bits.put(1, 2);
        bits.put(difference - 1, 4);
    }
    bits.put(0, 2);
    own.chains.iter().for_each(|difference| bits.put(*difference, 8));
}

/// What a descriptor said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) number: u16,
    pub(super) starts: bool,
    pub(super) ends: bool,
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    pub(super) indications: Vec<u32>,
    pub(super) differences: Vec<u32>,
    pub(super) chains: Vec<u32>,
}

/// A stream's structure, as a receiver has it.
#[derive(Clone, Debug, Default)]
pub(super) struct DescriptorReader {
    offset: u32,
    /// Chain that protects each target.
    protected_by: Vec<u32>,
    templates: Vec<Descriptor>,
    pub(super) sizes: Vec<(u16, u16)>,
}

impl DescriptorReader {
    pub(super) const fn new() -> Self {
        Self { offset: 0, protected_by: Vec::new(), templates: Vec::new(), sizes: Vec::new() }
    }

    /// Reads a descriptor, in the order of the stream; `None` where it makes no sense.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<Descriptor> {
        let mut bits = BitReader::new(bytes);
        let (starts, ends, id) = (bits.flag()?, bits.flag()?, bits.take(6)?);
        let number = bits.take(16)? as u16;
        let mut custom = [false; 3];
        if bytes.len() > 3 {
            let (structured, active) = (bits.flag()?, bits.flag()?);
            custom = [bits.flag()?, bits.flag()?, bits.flag()?];
            if structured {
                *self = Self::structure(&mut bits)?;
            }
            if active {
                bits.take(self.protected_by.len() as u32)?;
            }
        }
        let mut own = self.templates.get(((id + 64 - self.offset) % 64) as usize)?.clone();
        (own.starts, own.ends, own.number) = (starts, ends, number);
        own.read_custom(custom, &mut bits)?;
        Some(own)
    }

    /// The chain that a target of this index rests on.
    pub(super) fn chain_of(&self, target: usize) -> Option<usize> {
        self.protected_by.get(target).map(|chain| *chain as usize)
    }

    fn structure(bits: &mut BitReader<'_>) -> Option<Self> {
        let (offset, targets) = (bits.take(6)?, bits.take(5)? as usize + 1);
        let mut templates = layers(bits)?;
        for template in &mut templates {
            template.indications = (0..targets).map(|_| bits.take(2)).collect::<Option<_>>()?;
        }
        for template in &mut templates {
            while bits.flag()? {
                template.differences.push(bits.take(4)? + 1);
            }
        }
        let chains = bits.take_one_of(targets as u32 + 1)?;
        let count = if chains == 0 { 0 } else { targets };
        let protected_by = (0..count).map(|_| bits.take_one_of(chains)).collect::<Option<_>>()?;
        for template in &mut templates {
            template.chains = (0..chains).map(|_| bits.take(4)).collect::<Option<_>>()?;
        }
        let spatial_layers = if bits.flag()? { templates.last()?.spatial + 1 } else { 0 };
        let size = |bits: &mut BitReader<'_>| Some((bits.take(16)? as u16 + 1, bits.take(16)? as u16 + 1));
        let sizes = (0..spatial_layers).map(|_| size(bits)).collect::<Option<_>>()?;
        Some(Self { offset, protected_by, templates, sizes })
    }
}

fn layers(bits: &mut BitReader<'_>) -> Option<Vec<Descriptor>> {
    let (mut all, mut spatial, mut temporal) = (Vec::new(), 0, 0);
    loop {
        all.push(Descriptor {
            number: 0,
            starts: false,
            ends: false,
            spatial,
            temporal,
            indications: Vec::new(),
            differences: Vec::new(),
            chains: Vec::new(),
        });
        match bits.take(2)? {
            0 => (),
            1 => temporal += 1,
            2 => (spatial, temporal) = (spatial + 1, 0),
            _ => return Some(all),
        }
    }
}

impl Descriptor {
    fn read_custom(&mut self, [indications, differences, chains]: [bool; 3], bits: &mut BitReader<'_>) -> Option<()> {
        if indications {
            self.indications = self.indications.iter().map(|_| bits.take(2)).collect::<Option<_>>()?;
        }
        if differences {
            self.differences.clear();
            loop {
                match bits.take(2)? {
                    0 => break,
                    nibbles => self.differences.push(bits.take(4 * nibbles)? + 1),
                }
            }
        }
        if chains {
            self.chains = self.chains.iter().map(|_| bits.take(8)).collect::<Option<_>>()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_whether_spelled_out_or_not() {
        for structure in [Structure::L1T1, Structure::L1T3, Structure::L3T3, Structure::L3T3_KEY] {
            let sizes: Vec<_> = (1..=u16::from(structure.spatial_layers)).map(|n| (160 * n, 90 * n)).collect();
            let mut writer = DescriptorWriter::new(structure, 60, sizes.clone());
            writer.renew();
            let mut reader = DescriptorReader::default();
            for at in 0..3 * PERIOD * u32::from(structure.spatial_layers) {
                let layers = u32::from(structure.spatial_layers);
                let place = (at / layers, (at % layers) as u8);
                let number = 0xfff0_u16.wrapping_add(at as u16);
                let packet = Described { place, number, starts: true, ends: false, custom: at % 5 == 2 };
                let read = reader.read(&writer.write(&packet)).unwrap();
                assert_eq!((read.number, read.starts, read.ends), (number, true, false));
                assert_eq!((read.spatial, read.temporal), (place.1, structure.temporal(place.0)));
                let number_of = |place: Place| place.0 * layers + u32::from(place.1);
                let expected: Vec<_> = structure.references(place).into_iter().map(|on| at - number_of(on)).collect();
                assert_eq!(read.differences, expected, "{structure:?} {place:?}");
            }
            assert_eq!(reader.sizes, sizes);
        }
    }
}
