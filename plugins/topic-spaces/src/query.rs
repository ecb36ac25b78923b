//! The queries that make client groups: `attributes.type = "sensor" and attributes.floor IN ["7", "9"]`.

use crate::client::Facts;

/// Parentheses and `not` within each other.
const MAX_DEPTH: usize = 32;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Query {
    All,
    And(Vec<Query>),
    Or(Vec<Query>),
    Not(Box<Query>),
    Compare(Field, Operator, i64),
    /// Whether any value of the field is (true) or none is (false) among these.
    Among(Field, Vec<String>, bool),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    AuthenticationName,
    Attribute(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Number(i64),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 13] = ["<=", ">=", "<>", "!=", "==", "=", "<", ">", "(", ")", "[", "]", ","];

impl Query {
    /// # Errors
    /// What is wrong, and where.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
        let query = parser.or()?;
        match parser.peek() {
            None => Ok(query),
            Some(token) => Err(format!("{} is not expected there", token.shown())),
        }
    }

    /// Whether the client belongs to the group. What is asked of an attribute that it has not got is false.
    pub(crate) fn holds(&self, facts: &mut Facts<'_>) -> bool {
        match self {
            Self::All => true,
            Self::And(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(part) => !part.holds(facts),
            Self::Compare(field, operator, number) => facts.values(field).iter().any(|value| {
                value.parse::<i64>().is_ok_and(|value| match operator {
                    Operator::Less => value < *number,
                    Operator::AtMost => value <= *number,
                    Operator::Greater => value > *number,
                    Operator::AtLeast => value >= *number,
                })
            }),
            Self::Among(field, texts, wanted) => {
                let values = facts.values(field);
                !values.is_empty() && values.iter().any(|value| texts.contains(value)) == *wanted
            }
        }
    }
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => format!("`{number}`"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
        }
    }

    fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own.eq_ignore_ascii_case(word))
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, tail) = if first == '"' || first == '\'' {
            let body = rest.get(1..).unwrap_or_default();
            let (inside, tail) = body
                .split_once(first)
                .ok_or_else(|| format!("{rest:?} lacks its closing quote"))?;
            (Token::Text(inside.to_owned()), tail)
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            (Token::Symbol(symbol), rest.get(symbol.len()..).unwrap_or_default())
        } else {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && !"._-$".contains(c))
                .unwrap_or(rest.len());
            let (word, tail) = rest.split_at(end);
            if word.is_empty() {
                return Err(format!("`{first}` is not expected there"));
            }
            match word.parse() {
                Ok(number) => (Token::Number(number), tail),
                Err(_) => (Token::Word(word.to_owned()), tail),
            }
        };
        tokens.push(token);
        rest = tail.trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("it ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn take(&mut self, is_it: impl FnOnce(&Token) -> bool) -> bool {
        let found = self.peek().is_some_and(is_it);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), String> {
        match self.next()? {
            Token::Symbol(found) if found == symbol => Ok(()),
            found => Err(format!("`{symbol}` is expected in place of {}", found.shown())),
        }
    }

    fn or(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.and()?];
        while self.take(|token| token.is("or")) {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::Or(parts) })
    }

    fn and(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.not()?];
        while self.take(|token| token.is("and")) {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Query::And(parts) })
    }

    fn not(&mut self) -> Result<Query, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        let query = if self.take(|token| token.is("not")) {
            Query::Not(Box::new(self.not()?))
        } else if self.take(|token| *token == Token::Symbol("(")) {
            let inside = self.or()?;
            self.expect(")")?;
            inside
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(query)
    }

    fn comparison(&mut self) -> Result<Query, String> {
        let field = self.field()?;
        if self.take(|token| token.is("in")) {
            return Ok(Query::Among(field, self.list()?, true));
        }
        if self.take(|token| token.is("not")) {
            if !self.take(|token| token.is("in")) {
                return Err("`IN` is expected behind `NOT`".to_owned());
            }
            return Ok(Query::Among(field, self.list()?, false));
        }
        let operator = match self.next()? {
            Token::Symbol("=" | "==") => return Ok(Query::Among(field, vec![self.text()?], true)),
            Token::Symbol("!=" | "<>") => {
                return Ok(Query::Among(field, vec![self.text()?], false));
            }
            Token::Symbol("<") => Operator::Less,
            Token::Symbol("<=") => Operator::AtMost,
            Token::Symbol(">") => Operator::Greater,
            Token::Symbol(">=") => Operator::AtLeast,
            other => return Err(format!("a comparison is expected in place of {}", other.shown())),
        };
        match self.next()? {
            Token::Number(number) => Ok(Query::Compare(field, operator, number)),
            other => Err(format!("a whole number is expected in place of {}", other.shown())),
        }
    }

    fn field(&mut self) -> Result<Field, String> {
        let token = self.next()?;
        if let Token::Word(word) = &token {
            let word = word.strip_prefix("client.").unwrap_or(word);
            if word == "authenticationName" {
                return Ok(Field::AuthenticationName);
            }
            if let Some(name) = word.strip_prefix("attributes.")
                && !name.is_empty()
            {
                return Ok(Field::Attribute(name.to_owned()));
            }
        }
        let shown = token.shown();
        Err(format!("attributes.NAME or authenticationName is expected in place of {shown}"))
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Text(text) => Ok(text),
            Token::Number(number) => Ok(number.to_string()),
            other => Err(format!(
                "a text in quotes or a number is expected in place of {}",
                other.shown()
            )),
        }
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        self.expect("[")?;
        let mut texts = vec![self.text()?];
        while self.take(|token| *token == Token::Symbol(",")) {
            texts.push(self.text()?);
        }
        self.expect("]")?;
        Ok(texts)
    }
}
