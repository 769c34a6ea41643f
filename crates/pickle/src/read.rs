//! Following a pickle's instructions.

use std::{collections::HashMap, io::Read};

use crate::{
    Limits, Pickle, Result,
    escape::{unescape, unquote},
    input::Input,
    number::{self, Whole},
    value::{Id, Node, Object},
};

/// Newest version of pickles that is read.
const NEWEST: u8 = 5;

/// The values that are being built.
struct Machine<R> {
    limits: Limits,
    input: Input<R>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Pickle {
    /// Reads one pickle, and not a byte more, of any version up to 5.
    ///
    /// # Errors
    /// If it is damaged, or cannot be read.
    pub fn read(source: impl Read) -> Result<Self> {
        Self::read_within(source, &Limits::default())
    }

    /// Reads one pickle that may take so much room.
    ///
    /// # Errors
    /// If it is damaged, takes more, or cannot be read.
    pub fn read_within(source: impl Read, limits: &Limits) -> Result<Self> {
        let mut machine = Machine {
            limits: *limits,
            input: Input::new(source, limits.bytes),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let root = loop {
            if let Some(root) = machine.step()? {
                break root;
            }
        };
        Ok(Self { data: machine.input.into_data(), nodes: machine.nodes, root })
    }
}

impl From<Whole> for Node {
    fn from(number: Whole) -> Self {
        match number {
            Whole::Small(number) => Self::Int(number),
            Whole::Large(bytes) => Self::BigInt(bytes),
        }
    }
}

impl<R: Read> Machine<R> {
    /// Follows one instruction; the last one gives the value of the pickle.
    fn step(&mut self) -> Result<Option<Id>> {
        match self.input.byte()? {
            b'.' => return self.pop().map(Some),
            // The frame of a pickle, its version.
            0x95 => drop(self.input.array::<8>()?),
            0x80 => {
                let version = self.input.byte()?;
                if version > NEWEST {
                    return Err(self.input.problem(format!("version {version} is not known")));
                }
            }
            b'(' => self.mark()?,
            b'0' => self.discard()?,
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?;
                self.lift(top)?;
            }
            code @ (b'N' | 0x88 | 0x89) => {
                self.push(match code {
                    b'N' => Node::None,
                    code => Node::Bool(code == 0x88),
                })?;
            }
            code @ (b'I' | b'L' | b'F') => self.number_line(code)?,
            code @ (b'J' | b'K' | b'M' | b'G' | 0x8a | 0x8b) => self.number(code)?,
            code @ (b'S' | b'V') => self.text_line(code == b'S')?,
            code @ (b'X' | 0x8c | 0x8d) => self.text(code)?,
            code @ (b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96) => self.bytes(code)?,
            code @ (b']' | b'l') => {
                let items = if code == b'l' { self.marked()? } else { Vec::new() };
                self.push(Node::List(items))?;
            }
            code @ (b')' | b't' | 0x85..=0x87) => self.tuple(code)?,
            code @ (b'}' | b'd') => {
                let items = if code == b'd' { self.marked()? } else { Vec::new() };
                let entries = self.pairs(items)?;
                self.push(Node::Dict(entries))?;
            }
            code @ (0x8f | 0x91) => {
                let items = if code == 0x91 { self.marked()? } else { Vec::new() };
                self.push(Node::Set(items))?;
            }
            code @ (b'a' | b'e' | 0x90) => self.append(code)?,
            code @ (b's' | b'u') => self.set(code)?,
            code @ (b'c' | 0x93) => self.global(code)?,
            code @ (b'R' | 0x81 | 0x92 | b'i' | b'o') => self.call(code)?,
            b'b' => self.build()?,
            code @ (b'p' | b'q' | b'r' | 0x94) => self.remember(code)?,
            code @ (b'g' | b'h' | b'j') => self.recall(code)?,
            code @ (b'P' | b'Q') => self.persistent(code)?,
            code @ 0x82..=0x84 => self.extension(code)?,
            0x97 => return Err(self.input.problem("buffers outside the pickle are not read")),
            0x98 => {}
            code => {
                return Err(self.input.problem(format!("no instruction is called {code:#04x}")));
            }
        }
        Ok(None)
    }

    fn node(&mut self, node: Node) -> Result<Id> {
        let limit = self.limits.values.min(Id::MAX as usize);
        self.room(self.nodes.len(), limit, "values")?;
        self.nodes.push(node);
        Ok(self.nodes.len() as Id - 1)
    }

    /// Whether there is room for one more.
    fn room(&self, taken: usize, limit: usize, what: &str) -> Result<()> {
        if taken < limit {
            return Ok(());
        }
        Err(self.input.problem(format!("it has more than {limit} {what}, the limit")))
    }

    fn push(&mut self, node: Node) -> Result<()> {
        let id = self.node(node)?;
        self.lift(id)
    }

    /// Puts a value onto the stack.
    fn lift(&mut self, id: Id) -> Result<()> {
        self.room(self.stack.len(), self.limits.stack, "open values")?;
        self.stack.push(id);
        Ok(())
    }

    fn mark(&mut self) -> Result<()> {
        self.room(self.marks.len(), self.limits.stack, "open marks")?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Lowest height of the stack that may be taken from.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id> {
        if self.stack.len() > self.floor()
            && let Some(id) = self.stack.pop()
        {
            return Ok(id);
        }
        Err(self.input.problem("a value is missing"))
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => Ok(*id),
            _ => Err(self.input.problem("a value is missing")),
        }
    }

    /// Takes all above the last mark, and the mark.
    fn marked(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => Err(self.input.problem("a mark is missing")),
        }
    }

    /// Takes the top: a value, or a mark.
    fn discard(&mut self) -> Result<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn number_line(&mut self, code: u8) -> Result<()> {
        let line = self.input.text_line()?;
        let node = match (code, self.input.text(line)) {
            (b'F', text) => text.trim().parse().ok().map(Node::Float),
            // So truth values were written before there were instructions for them.
            (b'I', text @ ("00" | "01")) => Some(Node::Bool(text == "01")),
            (_, text) => number::of_text(text).map(Node::from),
        };
        let node = node.ok_or_else(|| self.input.problem("a number is none"))?;
        self.push(node)
    }

    fn number(&mut self, code: u8) -> Result<()> {
        let len = match code {
            b'J' => {
                let number = i32::from_le_bytes(self.input.array()?);
                return self.push(Node::Int(number.into()));
            }
            b'K' => {
                let number = self.input.byte()?;
                return self.push(Node::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.input.array()?);
                return self.push(Node::Int(number.into()));
            }
            b'G' => {
                let number = f64::from_be_bytes(self.input.array()?);
                return self.push(Node::Float(number));
            }
            0x8a => self.input.byte()?.into(),
            _ => self.len4_signed()?,
        };
        let bytes = self.input.take(len)?;
        let number = number::of_bytes(self.input.bytes(bytes));
        self.push(number.into())
    }

    /// A length of four bytes that may not be negative.
    fn len4_signed(&mut self) -> Result<usize> {
        let len = i32::from_le_bytes(self.input.array()?);
        usize::try_from(len).map_err(|_| self.input.problem("a length is negative"))
    }

    fn text_line(&mut self, is_quoted: bool) -> Result<()> {
        let line = self.input.line()?;
        let line = self.input.bytes(line);
        let text = match is_quoted {
            // Text of the time when text was bytes.
            true => unquote(line).map(String::from_utf8),
            false => unescape(line).map(Ok),
        };
        self.push(match text.ok_or_else(|| self.input.problem("a text is none"))? {
            Ok(text) => Node::OwnStr(text.into()),
            Err(error) => Node::OwnBytes(error.into_bytes().into()),
        })
    }

    fn text(&mut self, code: u8) -> Result<()> {
        let len = match code {
            0x8c => self.input.byte()?.into(),
            b'X' => self.input.len4()?,
            _ => self.input.len8()?,
        };
        let range = self.input.take(len)?;
        let bytes = self.input.bytes(range.clone());
        // Halves of surrogate pairs are written as if they were characters.
        let node = match std::str::from_utf8(bytes) {
            Ok(_) => Node::Str(range),
            Err(_) => Node::OwnStr(String::from_utf8_lossy(bytes).into()),
        };
        self.push(node)
    }

    fn bytes(&mut self, code: u8) -> Result<()> {
        let len = match code {
            b'U' | b'C' => self.input.byte()?.into(),
            b'B' => self.input.len4()?,
            b'T' => self.len4_signed()?,
            _ => self.input.len8()?,
        };
        let range = self.input.take(len)?;
        let is_old_text = matches!(code, b'U' | b'T');
        let is_text = is_old_text && std::str::from_utf8(self.input.bytes(range.clone())).is_ok();
        self.push(if is_text { Node::Str(range) } else { Node::Bytes(range) })
    }

    fn tuple(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b')' => Vec::new(),
            b't' => self.marked()?,
            code => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.push(self.pop()?);
                }
                items.reverse();
                items
            }
        };
        self.push(Node::Tuple(items))
    }

    fn pairs(&self, items: Vec<Id>) -> Result<Vec<(Id, Id)>> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
            _ => Err(self.input.problem("a key has no value")),
        }
    }

    /// Adds items to what lies below them.
    fn append(&mut self, code: u8) -> Result<()> {
        let items = if code == b'a' { vec![self.pop()?] } else { self.marked()? };
        let to = self.top()?;
        match (&mut self.nodes[to as usize], code) {
            (Node::List(list), b'a' | b'e') | (Node::Set(list), 0x90) => list.extend(items),
            (Node::Object(object), _) => object.items.extend(items),
            _ => return Err(self.input.problem("items are added to what has none")),
        }
        Ok(())
    }

    /// Adds keys and values to what lies below them.
    fn set(&mut self, code: u8) -> Result<()> {
        let items = match code {
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.marked()?,
        };
        let entries = self.pairs(items)?;
        let to = self.top()?;
        match &mut self.nodes[to as usize] {
            Node::Dict(own) => own.extend(entries),
            Node::Object(object) => object.entries.extend(entries),
            _ => return Err(self.input.problem("keys are added to what has none")),
        }
        Ok(())
    }

    fn global(&mut self, code: u8) -> Result<()> {
        let names = match code {
            b'c' => {
                let module = self.input.text_line()?;
                let module = self.node(Node::Str(module))?;
                let name = self.input.text_line()?;
                (module, self.node(Node::Str(name))?)
            }
            _ => {
                let (name, module) = (self.pop()?, self.pop()?);
                let is_text =
                    |id: Id| matches!(self.nodes[id as usize], Node::Str(_) | Node::OwnStr(_));
                if !is_text(module) || !is_text(name) {
                    return Err(self.input.problem("the name of a class is no text"));
                }
                (module, name)
            }
        };
        self.push(Node::Global(names.0, names.1))
    }

    /// What calls something: only the call itself is noted.
    fn call(&mut self, code: u8) -> Result<()> {
        let (class, args) = match code {
            // A class, its arguments and more of them by name.
            0x92 => {
                let named = self.pop()?;
                let args = self.pop()?;
                let class = self.pop()?;
                (class, self.node(Node::Tuple(vec![args, named]))?)
            }
            b'i' => {
                self.global(b'c')?;
                let class = self.pop()?;
                let args = self.marked()?;
                (class, self.node(Node::Tuple(args))?)
            }
            b'o' => {
                let mut args = self.marked()?;
                if args.is_empty() {
                    return Err(self.input.problem("a class is missing"));
                }
                (args.remove(0), self.node(Node::Tuple(args))?)
            }
            _ => {
                let args = self.pop()?;
                (self.pop()?, args)
            }
        };
        let (items, entries) = (Vec::new(), Vec::new());
        let object = Object { class, args: Some(args), state: None, items, entries };
        self.push(Node::Object(Box::new(object)))
    }

    /// Notes the state of an object.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let to = self.top()?;
        match &mut self.nodes[to as usize] {
            Node::Object(object) => object.state = Some(state),
            _ => return Err(self.input.problem("a state is given to what has none")),
        }
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<()> {
        let number = match code {
            b'p' => self.memo_line()?,
            b'q' => self.input.byte()?.into(),
            b'r' => self.input.len4()? as u64,
            _ => self.memo.len() as u64,
        };
        let top = self.top()?;
        self.room(self.memo.len(), self.limits.memo, "values to refer to")?;
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<()> {
        let number = match code {
            b'g' => self.memo_line()?,
            b'h' => self.input.byte()?.into(),
            _ => self.input.len4()? as u64,
        };
        match self.memo.get(&number) {
            Some(id) => self.lift(*id),
            None => Err(self.input.problem("what it refers to was never said")),
        }
    }

    fn memo_line(&mut self) -> Result<u64> {
        let line = self.input.text_line()?;
        let number = self.input.text(line).trim().parse();
        number.map_err(|_| self.input.problem("the number of a value is none"))
    }

    fn persistent(&mut self, code: u8) -> Result<()> {
        let id = match code {
            b'P' => {
                let line = self.input.text_line()?;
                self.node(Node::Str(line))?
            }
            _ => self.pop()?,
        };
        self.push(Node::PersistentId(id))
    }

    /// A class by a number that programs agreed upon.
    fn extension(&mut self, code: u8) -> Result<()> {
        let number = match code {
            0x82 => u32::from(self.input.byte()?),
            0x83 => u16::from_le_bytes(self.input.array()?).into(),
            _ => u32::from_le_bytes(self.input.array()?),
        };
        let module = self.node(Node::OwnStr("copyreg".into()))?;
        let name = self.node(Node::OwnStr(format!("extension {number}").into()))?;
        self.push(Node::Global(module, name))
    }
}
