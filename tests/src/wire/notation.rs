//! The notation scripts write values in.
//!
//! JSON without the quotes around names, and: enum constants by name, unions as `Kind { … }`, `$x` for a value learnt
//! from an earlier reply, `%name` for a value that the script defined with `let`, `..%name` to take its fields and
//! then replace some (`a.b.0.c: 1`) or drop some (`-a.b`), `set […]` for a list without an order, `1..9` for a range,
//! `any`, `present`, and calls such as `alnum(32)` for text of a known shape.

use std::collections::HashMap;

use crate::wire::value::{Field, Value};

/// Reads a script's text. A mistake in a script ends the test with the place it is at.
pub struct Cursor<'text> {
    file: &'text str,
    text: &'text str,
    at: usize,
    pub line: usize,
    pub templates: HashMap<String, Value>,
}

impl<'text> Cursor<'text> {
    pub fn new(file: &'text str, text: &'text str, templates: HashMap<String, Value>) -> Self {
        Self { file, text, at: 0, line: 1, templates }
    }

    pub fn fail(&self, what: &str) -> ! {
        panic!("{}:{}: {what}", self.file, self.line)
    }

    pub fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        self.line += usize::from(next == '\n');
        Some(next)
    }

    /// Blanks and comments, over line ends.
    pub fn skip_blank(&mut self) {
        while let Some(next) = self.peek() {
            if next == '#' {
                self.rest_of_line();
            } else if next.is_whitespace() || next == ',' {
                self.advance();
            } else {
                break;
            }
        }
    }

    /// Blanks of this line. Whether there is more on it.
    pub fn more_on_line(&mut self) -> bool {
        while self.peek().is_some_and(|next| next == ' ') {
            self.advance();
        }
        self.peek().is_some_and(|next| next != '\n' && next != '#')
    }

    pub fn rest_of_line(&mut self) -> &'text str {
        let start = self.at;
        while self.peek().is_some_and(|next| next != '\n') {
            self.advance();
        }
        self.text[start..self.at].trim()
    }

    pub fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.advance();
        }
        found
    }

    pub fn word(&mut self) -> &'text str {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_alphanumeric() || "_.-".contains(next)) {
            // `1..9` is two words.
            if self.text[self.at..].starts_with("..") {
                break;
            }
            self.advance();
        }
        if start == self.at {
            self.fail("a word is missing");
        }
        &self.text[start..self.at]
    }

    pub fn quoted(&mut self) -> String {
        if !self.take('"') {
            self.fail("a quoted text is missing");
        }
        let mut text = String::new();
        loop {
            match self.advance() {
                Some('"') => return text,
                Some('\\') => match self.advance() {
                    Some('n') => text.push('\n'),
                    Some(other) => text.push(other),
                    None => self.fail("the text does not end"),
                },
                Some(other) => text.push(other),
                None => self.fail("the text does not end"),
            }
        }
    }

    pub fn value(&mut self) -> Value {
        self.skip_blank();
        match self.peek() {
            Some('{') => Value::Object(self.fields()),
            Some('[') => Value::List(self.items()),
            Some('"') => Value::Text(self.quoted()),
            Some('$') => {
                self.advance();
                Value::Variable(self.word().to_owned())
            }
            Some('%') => self.template(),
            Some(next) if next.is_ascii_digit() || next == '-' => self.number(),
            Some(next) if next.is_alphabetic() => self.named(),
            _ => self.fail("a value is missing"),
        }
    }

    fn template(&mut self) -> Value {
        self.advance();
        let name = self.word();
        self.templates.get(name).cloned().unwrap_or_else(|| self.fail(&format!("%{name} is not defined")))
    }

    fn number(&mut self) -> Value {
        let word = self.word();
        if word.contains('.') {
            return Value::Real(word.parse().unwrap_or_else(|_| self.fail("a number is missing")));
        }
        let low = word.parse().unwrap_or_else(|_| self.fail("a number is missing"));
        if self.text[self.at..].starts_with("..") {
            self.advance();
            self.advance();
            let high = self.word().parse().unwrap_or_else(|_| self.fail("a number is missing"));
            return Value::Range(low, high);
        }
        Value::Integer(low)
    }

    fn named(&mut self) -> Value {
        let name = self.word().to_owned();
        match name.as_str() {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            "absent" => return Value::Absent,
            "any" => return Value::Any,
            "present" => return Value::Present,
            _ => {}
        }
        if self.take('(') {
            return self.call(&name);
        }
        if name == "set" {
            self.skip_blank();
            return Value::Set(self.items());
        }
        if self.more_on_line() && self.peek() == Some('{') {
            return Value::Typed(name, self.fields());
        }
        Value::Name(name)
    }

    fn call(&mut self, name: &str) -> Value {
        let mut arguments = Vec::new();
        loop {
            self.skip_blank();
            if self.take(')') {
                break;
            }
            arguments.push(self.value());
        }
        match (name, arguments.as_slice()) {
            ("hex", [Value::Text(digits)]) => {
                Value::List(bytes_of(digits).unwrap_or_else(|| self.fail("odd hex")))
            }
            ("repeat", [Value::Integer(count), value]) => {
                Value::List(vec![value.clone(); usize::try_from(*count).unwrap_or_default()])
            }
            ("base64" | "alnum" | "fingerprint", [Value::Integer(size)]) => {
                Value::Shape(name.to_owned(), usize::try_from(*size).unwrap_or_default())
            }
            _ => self.fail(&format!("there is no {name}() of this kind")),
        }
    }

    fn items(&mut self) -> Vec<Value> {
        if !self.take('[') {
            self.fail("a list is missing");
        }
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            if self.take(']') {
                return items;
            }
            items.push(self.value());
        }
    }

    fn fields(&mut self) -> Vec<Field> {
        self.advance();
        let mut object = Value::Object(Vec::new());
        loop {
            self.skip_blank();
            if self.take('}') {
                let Value::Object(fields) = object else { self.fail("no fields") };
                return fields;
            }
            if self.take('.') {
                self.advance();
                self.skip_blank();
                let Value::Object(fields) = self.template() else {
                    self.fail("only fields can be taken over")
                };
                object = Value::Object(fields);
                continue;
            }
            let dropped = self.take('-');
            let path: Vec<&str> = self.word().split('.').collect();
            let value = if dropped {
                Value::Absent
            } else {
                if !self.take(':') {
                    self.fail("a colon is missing");
                }
                self.value()
            };
            if set(&mut object, &path, value).is_none() {
                self.fail(&format!("there is no {}", path.join(".")));
            }
        }
    }
}

fn bytes_of(digits: &str) -> Option<Vec<Value>> {
    let digits: Vec<u32> = digits
        .chars()
        .filter(|digit| *digit != ' ')
        .map(|digit| digit.to_digit(16))
        .collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(Value::Integer(i128::from(high * 16 + low))),
        _ => None,
    });
    bytes.collect()
}

/// Puts `value` where `path` leads; `None` where it leads nowhere.
fn set(target: &mut Value, path: &[&str], value: Value) -> Option<()> {
    let Some((first, rest)) = path.split_first() else {
        *target = value;
        return Some(());
    };
    match target {
        Value::Object(fields) | Value::Typed(_, fields) => {
            if let Some(field) = fields.iter_mut().find(|field| field.name == *first) {
                set(&mut field.value, rest, value)
            } else if rest.is_empty() {
                fields.push(Field::new(first, value));
                Some(())
            } else {
                None
            }
        }
        Value::List(items) => set(items.get_mut(first.parse::<usize>().ok()?)?, rest, value),
        _ => None,
    }
}
