//! How a shape is laid out: one spacing for every statement, and lists of literals folded to `?+`.
//!
//! The layout depends on the tokens alone, never on the blanks between them, and reading a shape again gives the same tokens:
//! that is what makes normalising idempotent. Folding works at the end of the output, so a list of a million items never
//! takes more room than one.

use smallvec::SmallVec;

use super::words::needs_operand;

/// Longest shape in bytes, apart from [`CUT`].
pub const MAX_SHAPE: usize = 16 << 10;

/// Ends a shape that was cut at [`MAX_SHAPE`].
pub const CUT: &str = "\u{2026}";

/// Lists nested deeper than this are laid out but not folded.
const MAX_FOLDED_DEPTH: usize = 64;

/// What the output ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Start,
    /// A word; where it starts is in [`Layout::word`].
    Word,
    Literal,
    Quoted,
    Open,
    Close,
    Comma,
    /// `.` or `::`, which stand without blanks.
    Glue,
    Operator,
    Semicolon,
}

/// One open list. All fields are places in the output.
#[derive(Debug, Clone, Copy)]
struct List {
    /// The opening bracket.
    open: usize,
    /// Where the current item starts (or will start, after `, `).
    item: usize,
    /// Where the item before it starts.
    previous: Option<usize>,
    /// The item before is a `?+`.
    run: bool,
    /// The group `( ... )` just closed inside this list, unless it is the argument list of a function.
    row: Option<(usize, usize)>,
}

impl List {
    fn at(open: usize, item: usize) -> Self {
        List { open, item, previous: None, run: false, row: None }
    }
}

/// Writes a shape.
pub(super) struct Layout<'o> {
    out: &'o mut Vec<u8>,
    pub last: Last,
    /// Where the last word starts in the output.
    pub word: usize,
    list: List,
    outer: SmallVec<[List; 8]>,
    /// Brackets open beyond [`MAX_FOLDED_DEPTH`].
    deeper: usize,
    semicolon: bool,
    /// Where the signs before a literal start, and what came before them.
    sign: Option<(usize, Last)>,
    pub statements: u32,
    /// The shape has reached [`MAX_SHAPE`]; whatever follows is left out.
    pub full: bool,
}

impl<'o> Layout<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.clear();
        Layout {
            out,
            last: Last::Start,
            word: 0,
            list: List::at(0, 0),
            outer: SmallVec::new(),
            deeper: 0,
            semicolon: false,
            sign: None,
            statements: 0,
            full: false,
        }
    }

    fn depth(&self) -> usize {
        self.outer.len() + self.deeper
    }

    fn tail(&self, from: usize) -> &[u8] {
        self.out.get(from..).unwrap_or_default()
    }

    /// True if the output ends in something that a binary operator can follow.
    pub fn ends_in_operand(&self) -> bool {
        match self.last {
            Last::Literal | Last::Quoted | Last::Close => true,
            Last::Word => !needs_operand(self.tail(self.word)),
            _ => false,
        }
    }

    /// Makes room before a token of `len` bytes: the pending semicolon and the blank. False: it does not fit.
    #[inline]
    fn make_room(&mut self, len: usize, blank: bool) -> bool {
        if self.semicolon || self.last == Last::Start {
            self.start_statement();
        }
        if self.out.len() + usize::from(blank) + len > MAX_SHAPE {
            self.cut();
            return false;
        }
        if blank {
            self.out.push(b' ');
        }
        true
    }

    #[cold]
    fn start_statement(&mut self) {
        if self.semicolon {
            self.out.push(b';');
            self.last = Last::Semicolon;
            self.semicolon = false;
            self.list = List::at(self.list.open, self.out.len() + 1);
        }
        if self.depth() == 0 {
            self.statements = self.statements.saturating_add(1);
        }
    }

    #[cold]
    fn cut(&mut self) {
        if self.full {
            return;
        }
        self.full = true;
        if self.blank_before_word() {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(CUT.as_bytes());
    }

    #[inline]
    fn blank_before_word(&self) -> bool {
        !matches!(self.last, Last::Start | Last::Open | Last::Glue) || self.semicolon
    }

    /// Words, already separated by single blanks or points; the last starts at `last_word` in `text`.
    #[inline]
    pub fn words(&mut self, text: &[u8], last_word: usize) {
        if !self.make_room(text.len(), self.blank_before_word()) {
            return;
        }
        self.word = self.out.len() + last_word;
        self.out.extend(text.iter().map(u8::to_ascii_lowercase));
        self.last = Last::Word;
        self.sign = None;
    }

    /// True if this many more bytes surely fit.
    #[inline]
    pub fn fits(&self, len: usize) -> bool {
        self.out.len() + len + 2 <= MAX_SHAPE
    }

    /// A quoted identifier, exactly as written.
    pub fn quoted(&mut self, text: &[u8]) {
        if self.make_room(text.len(), self.blank_before_word()) {
            self.out.extend_from_slice(text);
            self.last = Last::Quoted;
            self.sign = None;
        }
    }

    /// A literal or a parameter, with the signs before it; `run` where the input is a shape and already says `?+`.
    #[inline]
    pub fn literal(&mut self, run: bool) {
        if let Some((start, before)) = self.sign.take() {
            self.out.truncate(start);
            self.last = before;
        }
        let text: &[u8] = if run { b"?+" } else { b"?" };
        if self.make_room(text.len(), self.blank_before_word()) {
            self.out.extend_from_slice(text);
            self.last = Last::Literal;
        }
    }

    /// True just after the comma that follows a `?+`.
    #[inline]
    pub fn in_run(&self) -> bool {
        self.last == Last::Comma && self.list.run && self.deeper == 0 && !self.semicolon && self.list.item == self.out.len() + 1
    }

    /// An operator of one or more characters.
    #[inline]
    pub fn operator(&mut self, text: &[u8]) {
        let sign = matches!(text, b"+" | b"-") && !self.ends_in_operand();
        if self.semicolon {
            self.start_statement();
        }
        let (start, before) = (self.out.len(), self.last);
        // `::` and `:` would join into other tokens.
        let blank = self.blank_before_word() || (self.last == Last::Glue && text.first() == Some(&b':'));
        if self.make_room(text.len(), blank) {
            self.out.extend_from_slice(text);
            self.last = Last::Operator;
            self.sign = if sign { self.sign.or(Some((start, before))) } else { None };
        }
    }

    /// `.` or `::`.
    #[inline]
    pub fn glue(&mut self, text: &[u8]) {
        let blank = match self.last {
            Last::Comma | Last::Semicolon => true,
            Last::Operator => self.out.ends_with(b":"),
            _ => self.semicolon,
        };
        if self.make_room(text.len(), blank) {
            self.out.extend_from_slice(text);
            self.last = Last::Glue;
            self.sign = None;
        }
    }

    /// The end of a statement; it is written only if another follows.
    #[inline]
    pub fn semicolon(&mut self) {
        // Leading ones mean nothing.
        self.semicolon |= self.last != Last::Start;
        self.sign = None;
    }

    /// `(` or `[`.
    pub fn open(&mut self, bracket: u8) {
        if self.semicolon {
            self.start_statement();
        }
        let blank = match self.last {
            Last::Start | Last::Open | Last::Glue => false,
            Last::Comma | Last::Semicolon | Last::Operator => true,
            Last::Word => needs_operand(self.tail(self.word)),
            Last::Quoted => false,
            Last::Literal | Last::Close => bracket == b'(',
        };
        if !self.make_room(1, blank) {
            return;
        }
        if self.outer.len() < MAX_FOLDED_DEPTH {
            self.outer.push(self.list);
            self.list = List::at(self.out.len(), self.out.len() + 1);
        } else {
            self.deeper += 1;
        }
        self.out.push(bracket);
        self.last = Last::Open;
        self.sign = None;
    }

    /// `,`.
    #[inline]
    pub fn comma(&mut self) {
        if !self.punctuation(b',') {
            return;
        }
        self.last = Last::Comma;
        if self.deeper == 0 {
            self.list.item = self.out.len() + 1;
        }
    }

    /// `)` or `]`.
    pub fn close(&mut self, bracket: u8) {
        if !self.punctuation(bracket) {
            return;
        }
        self.last = Last::Close;
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if let Some(outer) = self.outer.pop() {
            let open = self.list.open;
            self.list = outer;
            self.fold_row(open);
        }
    }

    /// Ends an item and writes what ended it.
    #[inline]
    fn punctuation(&mut self, byte: u8) -> bool {
        if self.semicolon {
            self.start_statement();
        }
        // An item `?` may become `?+`.
        if !self.make_room(2, false) {
            return false;
        }
        if self.deeper == 0 {
            self.end_item();
        }
        self.out.push(byte);
        self.sign = None;
        true
    }

    /// Folds the item that ends here: a literal joins the run before it or starts one; `?::int` after `?::int` goes.
    #[inline]
    fn end_item(&mut self) {
        let start = self.list.item;
        let item = self.out.get(start..).unwrap_or_default();
        let Some(first) = item.first().copied() else { return };
        if !self.outer.is_empty() {
            // Matched by hand: most items are columns and go no further than their first byte.
            let literal = match first {
                b'?' => matches!(item, b"?" | b"?+"),
                b'n' => item == b"null",
                b't' => item == b"true",
                b'f' => item == b"false",
                b'd' => item == b"default",
                _ => false,
            };
            if literal {
                if self.list.run {
                    self.out.truncate(start.saturating_sub(2));
                } else {
                    self.out.truncate(start);
                    self.out.extend_from_slice(b"?+");
                    self.list.run = true;
                    self.list.previous = Some(start);
                }
                return;
            }
            if first == b'?'
                && let Some(previous) = self.list.previous
                && self.out.get(previous..start.saturating_sub(2)) == Some(item)
            {
                self.out.truncate(start.saturating_sub(2));
                return;
            }
        }
        self.list.run = false;
        self.list.previous = Some(start);
    }

    /// Drops the group that starts at `open` and ends here if it repeats the one before it: rows of `VALUES`.
    fn fold_row(&mut self, open: usize) {
        if let Some((start, end)) = self.list.row
            && end + 2 == open
            && self.out.get(end) == Some(&b',')
            && self.out.get(start..end) == self.out.get(open..)
        {
            self.out.truncate(end);
            // The item before is the current one again.
            self.list.item = self.list.previous.take().unwrap_or(start);
            return;
        }
        let bare = open == 0 || matches!(self.out.get(open - 1), Some(b' ' | b'(' | b'['));
        self.list.row = bare.then_some((open, self.out.len()));
    }
}
