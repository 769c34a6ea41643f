//! The values of a pickle.

use std::{borrow::Cow, fmt, ops::Range};

/// Place of a value in a pickle's list.
pub(crate) type Id = u32;

/// A value, and those it refers to.
#[derive(Debug)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    BigInt(Box<[u8]>),
    Float(f64),
    /// Text that stands in the pickle as it is.
    Str(Range<usize>),
    /// Text that was written with escapes.
    OwnStr(Box<str>),
    Bytes(Range<usize>),
    OwnBytes(Box<[u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Set(Vec<Id>),
    /// Module and name, both text.
    Global(Id, Id),
    Object(Box<Object>),
    PersistentId(Id),
}

/// What would have been called, and what would have been done with the result.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) class: Id,
    /// A tuple, as a rule.
    pub(crate) args: Option<Id>,
    pub(crate) state: Option<Id>,
    pub(crate) items: Vec<Id>,
    pub(crate) entries: Vec<(Id, Id)>,
}

/// All values that a pickle builds.
#[derive(Debug)]
pub struct Pickle {
    pub(crate) data: Vec<u8>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: Id,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind<'a> {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A larger one: little-endian bytes in two's complement.
    BigInt(&'a [u8]),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list.
    List,
    /// A tuple.
    Tuple,
    /// A dictionary.
    Dict,
    /// A set.
    Set,
    /// A class or function by its name.
    Global {
        /// Its module.
        module: &'a str,
        /// Its name there.
        name: &'a str,
    },
    /// What calling something would have given.
    Object,
    /// What the program that wrote the pickle keeps elsewhere.
    PersistentId,
}

impl Pickle {
    /// The value that was saved.
    pub fn root(&self) -> Value<'_> {
        Value { pickle: self, id: self.root }
    }

    /// All values, in the order in which they are built.
    pub(crate) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        (0..self.nodes.len() as Id).map(|id| Value { pickle: self, id })
    }
}

/// A value of a pickle; it may hold itself.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    pickle: &'a Pickle,
    id: Id,
}

impl<'a> Value<'a> {
    fn node(self) -> &'a Node {
        &self.pickle.nodes[self.id as usize]
    }

    fn at(self, id: Id) -> Self {
        Self { id, ..self }
    }

    fn object(self) -> Option<&'a Object> {
        match self.node() {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Number of the value: the same for the same object.
    pub fn id(self) -> u32 {
        self.id
    }

    /// What it is.
    pub fn kind(self) -> Kind<'a> {
        let data = &self.pickle.data;
        match self.node() {
            Node::None => Kind::None,
            Node::Bool(value) => Kind::Bool(*value),
            Node::Int(value) => Kind::Int(*value),
            Node::BigInt(value) => Kind::BigInt(value),
            Node::Float(value) => Kind::Float(*value),
            // It was checked when it was read.
            Node::Str(range) => {
                Kind::Str(std::str::from_utf8(&data[range.clone()]).unwrap_or_default())
            }
            Node::OwnStr(text) => Kind::Str(text),
            Node::Bytes(range) => Kind::Bytes(&data[range.clone()]),
            Node::OwnBytes(bytes) => Kind::Bytes(bytes),
            Node::List(_) => Kind::List,
            Node::Tuple(_) => Kind::Tuple,
            Node::Dict(_) => Kind::Dict,
            Node::Set(_) => Kind::Set,
            Node::Global(module, name) => {
                let text = |id: &Id| self.at(*id).as_str().unwrap_or_default();
                Kind::Global { module: text(module), name: text(name) }
            }
            Node::Object(_) => Kind::Object,
            Node::PersistentId(_) => Kind::PersistentId,
        }
    }

    /// Whether it is `None`.
    pub fn is_none(self) -> bool {
        self.kind() == Kind::None
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.kind() {
            Kind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, if it is one of up to 64 bits.
    pub fn as_i64(self) -> Option<i64> {
        match self.kind() {
            Kind::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Float(value) => Some(value),
            Kind::Int(value) => Some(value as f64),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(self) -> Option<&'a str> {
        match self.kind() {
            Kind::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is some.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        match self.kind() {
            Kind::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes, if it is some, also in the form that old versions of pickles
    /// have for them: text of as many characters, inside a call that encodes it.
    pub fn to_bytes(self) -> Option<Cow<'a, [u8]>> {
        if let Some(bytes) = self.as_bytes() {
            return Some(bytes.into());
        }
        let text = match self.class() {
            Some(("_codecs", "encode")) => self.args()?.items().next()?.as_str()?,
            // So they write no bytes at all.
            Some(("__builtin__" | "builtins", "bytes")) if self.args()?.items().len() == 0 => "",
            _ => self.as_str()?,
        };
        text.chars().map(|c| u8::try_from(c).ok()).collect()
    }

    /// Items of a list, a tuple, a set, or what was appended to an object.
    pub fn items(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + use<'a> {
        let items = match self.node() {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => &items[..],
            Node::Object(object) => &object.items,
            _ => &[],
        };
        items.iter().map(move |id| self.at(*id))
    }

    /// Keys and values of a dictionary, or what was put into an object by keys
    /// (an ordered dictionary, say), in order; a key may come again.
    pub fn entries(self) -> impl ExactSizeIterator<Item = (Self, Self)> + use<'a> {
        let entries = match self.node() {
            Node::Dict(entries) => &entries[..],
            Node::Object(object) => &object.entries,
            _ => &[],
        };
        entries.iter().map(move |(key, value)| (self.at(*key), self.at(*value)))
    }

    /// The value of that key in a dictionary, or in an object by keys; else the
    /// attribute of that name in the state of an object.
    pub fn get(self, key: &str) -> Option<Self> {
        let own = |of: Self| {
            let entries = match of.node() {
                Node::Dict(entries) => &entries[..],
                Node::Object(object) => &object.entries,
                _ => &[],
            };
            // The last one is what the dictionary would hold.
            let entry = entries.iter().rev().find(|(id, _)| of.at(*id).as_str() == Some(key))?;
            Some(of.at(entry.1))
        };
        own(self).or_else(|| {
            let state = self.state()?;
            // With slots, the state is a pair of dictionaries.
            match state.kind() {
                Kind::Tuple => state.items().rev().take(2).find_map(own),
                _ => own(state),
            }
        })
    }

    /// Module and name of what would have been called to make an object.
    pub fn class(self) -> Option<(&'a str, &'a str)> {
        let mut class = self.at(self.object()?.class);
        // PyTorch's old container saves the source of modules beside their class.
        if let Some(id) = class.persistent_id() {
            let mut parts = id.items();
            if parts.next()?.as_str()? == "module" {
                class = parts.next()?;
            }
        }
        match class.kind() {
            Kind::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// The arguments of what would have been called to make an object.
    pub fn args(self) -> Option<Self> {
        self.object()?.args.map(|id| self.at(id))
    }

    /// What would have become the state of an object.
    pub fn state(self) -> Option<Self> {
        self.object()?.state.map(|id| self.at(id))
    }

    /// What is kept elsewhere is known by this.
    pub fn persistent_id(self) -> Option<Self> {
        match self.node() {
            Node::PersistentId(id) => Some(self.at(*id)),
            _ => None,
        }
    }

    /// What it is in a few words, for messages.
    pub fn summary(self) -> String {
        match self.kind() {
            Kind::None => "nothing".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Int(value) => value.to_string(),
            Kind::BigInt(_) => "a large number".to_owned(),
            Kind::Float(value) => value.to_string(),
            Kind::Str(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Kind::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Kind::List => format!("a list of {}", self.items().len()),
            Kind::Tuple => format!("a tuple of {}", self.items().len()),
            Kind::Set => format!("a set of {}", self.items().len()),
            Kind::Dict => {
                let keys = self.entries().filter_map(|(key, _)| key.as_str()).take(6);
                let keys: Vec<String> =
                    keys.map(|key| key.chars().take(30).collect::<String>()).collect();
                format!("a dictionary of {} ({})", self.entries().len(), keys.join(", "))
            }
            Kind::Global { module, name } => format!("{module:.60}.{name:.60}"),
            Kind::Object => match self.class() {
                Some((module, name)) => format!("an object of {module:.60}.{name:.60}"),
                None => "an object".to_owned(),
            },
            Kind::PersistentId => "something kept elsewhere".to_owned(),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}
