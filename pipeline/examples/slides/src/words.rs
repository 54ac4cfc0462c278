//! Written text as words to be said: a voice reads symbols badly or not at all.

/// `text` with symbols spelled out and everything removed that the voice would take as markup.
///
/// What is left are letters, digits, white space and `. , ; : ! ? ' " ( ) - $`.
pub fn spoken(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut said = String::with_capacity(text.len());
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|i| letters[i]);
        let after = letters.get(at + 1).copied();
        say(&mut said, *letter, before, after);
    }
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn say(said: &mut String, letter: char, before: Option<char>, after: Option<char>) {
    let number = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    match letter {
        // "README.md", but not "3.5" and not the end of a sentence.
        '.' if word(after) && !(number(before) && number(after)) => said.push_str(" dot "),
        '-' if number(after) && !word(before) => said.push_str(" minus "),
        c if c.is_alphanumeric() || c.is_whitespace() => said.push(c),
        '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '"' | '(' | ')' | '-' | '$' => {
            said.push(letter);
        }
        '’' | '‘' => said.push('\''),
        '…' => said.push('.'),
        '–' | '—' => said.push_str(", "),
        '“' | '”' | '«' | '»' => said.push('"'),
        other => said.push_str(symbol(other)),
    }
}

/// The words for a symbol; a pause of white space for one that nobody says.
fn symbol(symbol: char) -> &'static str {
    match symbol {
        '&' => " and ",
        '%' => " percent ",
        '+' => " plus ",
        '=' => " equals ",
        '<' => " less than ",
        '>' => " greater than ",
        '≤' => " at most ",
        '≥' => " at least ",
        '≈' => " about ",
        '×' => " times ",
        '→' => " to ",
        '@' => " at ",
        '#' => " number ",
        '/' => " slash ",
        '€' => " euros ",
        '£' => " pounds ",
        '°' => " degrees ",
        _ => " ",
    }
}
