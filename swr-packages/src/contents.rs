//! What is in a package: its entries, by name.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use swr_core::digest::{Algorithm, Digest, Hasher};

use crate::error::{Defect, Reason};
use crate::read_tar::{Member, MemberKind, Members};

/// How many links are followed one after the other.
const LINKS_MAX: usize = 8;

/// The entries of an archive that has been read to its end.
#[derive(Debug, Default)]
pub(crate) struct Contents(HashMap<Box<str>, Entry>);

#[derive(Debug)]
enum Entry {
    File(Part),
    Folder,
    Link(Box<str>),
}

/// A file of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// How long it is, in bytes.
    pub(crate) size: u64,
    /// What it is: by SHA-512 where its name is that of a blob by SHA-512.
    pub(crate) digest: Digest,
}

impl Contents {
    /// The file of this name, or the one that the link of this name leads to.
    pub(crate) fn file(&self, name: &str) -> Result<Part, Defect> {
        let mut at = name;
        for _ in 0..=LINKS_MAX {
            match self.0.get(at) {
                Some(Entry::File(part)) => return Ok(*part),
                Some(Entry::Link(to)) => at = to,
                Some(Entry::Folder) | None if at == name => return Err(Defect::at(name, Reason::Missing)),
                Some(Entry::Folder) | None => break,
            }
        }
        Err(Defect::at(name, Reason::LinkNowhere))
    }

    /// Whether there is a file of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The blob of this digest, as an image layout has it.
    pub(crate) fn blob(&self, digest: &Digest) -> Result<Part, Defect> {
        self.file(&blob_name(digest))
    }
}

/// What an image layout calls a blob.
pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// Puts contents together while the archive is read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    contents: Contents,
    /// The file that is being read.
    open: Option<(Member, Hasher)>,
    /// Entries that nobody has been told of yet.
    fresh: Vec<(Box<str>, u64)>,
}

impl Collector {
    /// Entries since this was last asked: their names and lengths.
    pub(crate) fn take_fresh(&mut self) -> Vec<(Box<str>, u64)> {
        std::mem::take(&mut self.fresh)
    }

    pub(crate) fn finish(self) -> Contents {
        self.contents
    }
}

impl Members for Collector {
    fn begin(&mut self, member: Member) -> Result<(), Defect> {
        let place = match self.contents.0.entry(member.name.clone()) {
            // A folder is where its files are, however often that is said.
            Place::Occupied(place)
                if matches!((place.get(), &member.kind), (Entry::Folder, MemberKind::Folder)) =>
            {
                return Ok(());
            }
            Place::Occupied(_) => return Err(Defect::at(&member.name, Reason::Duplicate)),
            Place::Vacant(place) => place,
        };
        self.fresh.push((member.name.clone(), member.size));
        match &member.kind {
            MemberKind::Folder => drop(place.insert(Entry::Folder)),
            MemberKind::Link(to) => drop(place.insert(Entry::Link(to.clone()))),
            MemberKind::File => {
                let algorithm = match member.name.strip_prefix("blobs/sha512/") {
                    Some(_) => Algorithm::Sha512,
                    None => Algorithm::Sha256,
                };
                // Its name is taken, and what it is shows at its end.
                place.insert(Entry::Folder);
                self.open = Some((member, Hasher::new(algorithm)));
            }
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) {
        if let Some((_, hasher)) = &mut self.open {
            hasher.update(bytes);
        }
    }

    fn end(&mut self) -> Result<(), Defect> {
        let Some((Member { name, offset, size, .. }, hasher)) = self.open.take() else { return Ok(()) };
        let digest = hasher.finish();
        let said = name.strip_prefix("blobs/").and_then(|name| name.split_once('/'));
        if let Some((algorithm, hex)) = said
            && Algorithm::parse(algorithm).is_some()
            && hex != digest.hex()
        {
            return Err(Defect::at(&name, Reason::OtherDigest(digest)));
        }
        self.contents.0.insert(name, Entry::File(Part { offset, size, digest }));
        Ok(())
    }
}
