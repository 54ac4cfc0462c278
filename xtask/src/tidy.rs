//! What no compiler checks. Each rule is a function over the tree; all complaints come at once.

use crate::{PRIMITIVES, loom, shell};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// More complaints than this are only counted.
const SHOWN_MAX: usize = 40;
/// No file of concepts grows beyond this.
const LINES_MAX: usize = 400;
/// A comment this far above an atomic still belongs to it.
const COMMENT_REACH: usize = 8;

pub(crate) fn run() -> Result<()> {
    let tree = Tree::read()?;
    let rules: [fn(&Tree) -> Vec<String>; 8] = [
        architecture_names_every_source_file,
        files_open_with_their_purpose_and_stay_short,
        only_sync_knows_loom,
        atomics_say_why_their_ordering_suffices,
        nothing_is_unfinished_or_names_a_machine,
        primitives_do_not_know_each_other,
        links_lead_somewhere,
        the_changelog_has_this_version,
    ];
    let mut complaints: Vec<String> = rules.iter().flat_map(|rule| rule(&tree)).collect();
    for krate in PRIMITIVES {
        complaints.extend(every_mutant_has_one_killer(&tree, krate)?);
    }
    if !complaints.is_empty() {
        let more = complaints.len().saturating_sub(SHOWN_MAX);
        complaints.truncate(SHOWN_MAX);
        if more > 0 {
            complaints.push(format!("and {more} more"));
        }
        bail!("the tree is not tidy:\n  {}", complaints.join("\n  "));
    }
    println!("{} files are tidy", tree.files.len());
    Ok(())
}

/// Every text file that git would commit.
struct Tree {
    files: BTreeMap<PathBuf, String>,
}

impl Tree {
    fn read() -> Result<Self> {
        let mut files = BTreeMap::new();
        for path in shell::files()? {
            if let Ok(text) = String::from_utf8(fs::read(&path)?) {
                files.insert(path, text);
            }
        }
        Ok(Self { files })
    }

    fn text(&self, path: &str) -> &str {
        self.files.get(Path::new(path)).map_or("", String::as_str)
    }

    fn with_extension(&self, extension: &str) -> impl Iterator<Item = (&Path, &str)> {
        let wanted = Path::new("x").with_extension(extension);
        self.files
            .iter()
            .filter(move |(path, _)| path.extension() == wanted.extension())
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// Rust files below a `src` folder.
    fn sources(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.with_extension("rs").filter(|(path, _)| path.iter().any(|part| part == "src"))
    }
}

fn architecture_names_every_source_file(tree: &Tree) -> Vec<String> {
    let map = tree.text("ARCHITECTURE.md");
    let mut complaints = Vec::new();
    for (path, _) in tree.sources() {
        if !map.contains(&format!("| `{}` |", path.display())) {
            complaints.push(format!("{}: has no row in ARCHITECTURE.md", path.display()));
        }
    }
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let named = row.split('`').nth(1).unwrap_or_default();
        let is_source = Path::new(named).extension().is_some_and(|ext| ext == "rs");
        if is_source && !tree.files.contains_key(Path::new(named)) {
            complaints.push(format!("ARCHITECTURE.md: names {named}, which is not there"));
        }
    }
    complaints
}

fn files_open_with_their_purpose_and_stay_short(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.sources() {
        if !text.starts_with("//!") && !text.starts_with("#!") {
            complaints.push(format!("{}: does not open with `//!`", path.display()));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            complaints.push(format!("{}: {lines} lines, at most {LINES_MAX}", path.display()));
        }
        let vague = ["util", "utils", "common", "helper", "helpers", "misc"];
        if path.iter().any(|part| {
            vague.iter().any(|v| Path::new(part).file_stem() == Path::new(v).file_stem())
        }) {
            complaints.push(format!("{}: is named after no concept", path.display()));
        }
    }
    complaints
}

fn only_sync_knows_loom(tree: &Tree) -> Vec<String> {
    // Put together here, or this line would break its own rule.
    let asks = format!("cfg({})", "loom");
    let strangers = tree.sources().filter(|(path, _)| !path.ends_with("src/sync.rs"));
    strangers
        .filter(|(path, text)| {
            !path.starts_with("xtask") && code(text).any(|(_, line)| line.contains(&asks))
        })
        .map(|(path, _)| format!("{}: only src/sync.rs may ask for {asks}", path.display()))
        .collect()
}

fn atomics_say_why_their_ordering_suffices(tree: &Tree) -> Vec<String> {
    const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let mut complaints = Vec::new();
    for (path, text) in tree.sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in code(text) {
            if line.starts_with("use ")
                || !ORDERINGS.iter().any(|o| line.contains(&format!("Ordering::{o}")))
            {
                continue;
            }
            let above = &lines[number.saturating_sub(COMMENT_REACH)..=number];
            if !above.iter().any(|line| line.contains("ORDERING:")) {
                complaints.push(format!(
                    "{}:{}: an atomic without `// ORDERING:`",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    complaints
}

fn nothing_is_unfinished_or_names_a_machine(tree: &Tree) -> Vec<String> {
    // Split, or this file would be the first to break the rule.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
    ];
    let mut complaints = Vec::new();
    for (path, text) in &tree.files {
        if path.extension().is_some_and(|extension| extension == "lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    complaints
}

fn primitives_do_not_know_each_other(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for krate in PRIMITIVES {
        let manifest = tree.text(&format!("{krate}/Cargo.toml"));
        for other in PRIMITIVES.iter().chain(&["pipeline"]).filter(|other| **other != krate) {
            let depends = |line: &str| {
                let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
                name == *other
            };
            if manifest.lines().any(depends) {
                complaints.push(format!("{krate}/Cargo.toml: depends on {other}"));
            }
        }
    }
    complaints
}

fn links_lead_somewhere(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in tree.with_extension("md") {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty()
                || target.contains("://")
                || target.contains(' ')
                || target.contains("::")
            {
                continue;
            }
            let here = path.parent().unwrap_or(Path::new("")).join(target);
            if !here.exists() {
                complaints.push(format!("{}: the link to {target} leads nowhere", path.display()));
            }
        }
    }
    complaints
}

fn the_changelog_has_this_version(tree: &Tree) -> Vec<String> {
    let manifest = tree.text("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    let version = version.unwrap_or_default().trim_matches('"');
    let headings = tree.text("CHANGELOG.md").lines().filter(|line| line.starts_with("## "));
    if headings.into_iter().any(|heading| heading.contains(version)) {
        return Vec::new();
    }
    vec![format!("CHANGELOG.md: has no heading for version {version}")]
}

/// A mutant without a model proves nothing; a model that names a mutant that is gone, neither.
fn every_mutant_has_one_killer(tree: &Tree, krate: &str) -> Result<Vec<String>> {
    let mut killers: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let own = tree.sources().filter(|(path, _)| path.starts_with(krate));
    for (_, line) in own.flat_map(|(_, text)| code(text)) {
        for name in line.split("mutant(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            killers.entry(name.to_owned()).or_default().0 += 1;
        }
    }
    for (_, source) in loom::sources(krate)? {
        for name in source.lines().filter_map(|line| line.trim().strip_prefix("/// Kills: ")) {
            killers.entry(name.to_owned()).or_default().1 += 1;
        }
    }
    let wrong =
        killers.into_iter().filter_map(|(name, (in_code, in_models))| match (in_code, in_models) {
            (0, _) => {
                Some(format!("{krate}: a model kills the mutant {name}, which is not in the code"))
            }
            (_, 1) => None,
            (_, models) => {
                Some(format!("{krate}: the mutant {name} has {models} models, it needs one"))
            }
        });
    Ok(wrong.collect())
}

/// The lines that are no comments, trimmed, with their index.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
        Tree { files: files.collect() }
    }

    /// The rule is content with the first tree and complains once about the second.
    fn tells_apart(rule: fn(&Tree) -> Vec<String>, good: &Tree, bad: &Tree) {
        assert_eq!(rule(good), Vec::<String>::new());
        assert_eq!(rule(bad).len(), 1, "{:?}", rule(bad));
    }

    #[test]
    fn a_source_file_needs_its_row_and_a_row_its_file() {
        let row = "| `a/src/b.rs` | something | nothing |";
        let good = tree(&[("ARCHITECTURE.md", row), ("a/src/b.rs", "")]);
        let nameless = tree(&[("ARCHITECTURE.md", ""), ("a/src/b.rs", "")]);
        let gone = tree(&[("ARCHITECTURE.md", row)]);
        tells_apart(architecture_names_every_source_file, &good, &nameless);
        tells_apart(architecture_names_every_source_file, &good, &gone);
    }

    #[test]
    fn a_file_opens_with_its_purpose_stays_short_and_is_named_after_a_concept() {
        let good = tree(&[("a/src/queue.rs", "//! A queue.\n")]);
        let bare = tree(&[("a/src/queue.rs", "use std;\n")]);
        let long = tree(&[("a/src/queue.rs", &format!("//! A queue.\n{}", "\n".repeat(400)))]);
        let vague = tree(&[("a/src/helpers.rs", "//! Things.\n")]);
        for bad in [bare, long, vague] {
            tells_apart(files_open_with_their_purpose_and_stay_short, &good, &bad);
        }
    }

    #[test]
    fn only_the_seam_asks_for_loom() {
        let asks = format!("#[cfg({})]\n", "loom");
        let good = tree(&[("a/src/sync.rs", &asks)]);
        let bad = tree(&[("a/src/queue.rs", &asks)]);
        tells_apart(only_sync_knows_loom, &good, &bad);
    }

    #[test]
    fn an_atomic_says_why() {
        let load = format!("flag.load(Ordering::{});\n", "Acquire");
        let good = tree(&[("a/src/b.rs", &format!("// ORDERING: pairs with the store.\n{load}"))]);
        let bad = tree(&[("a/src/b.rs", &load)]);
        tells_apart(atomics_say_why_their_ordering_suffices, &good, &bad);
    }

    #[test]
    fn nothing_unfinished_is_committed() {
        let bad = tree(&[("a/README.md", concat!("TO", "DO: write this\n"))]);
        tells_apart(nothing_is_unfinished_or_names_a_machine, &tree(&[("a/README.md", "")]), &bad);
    }

    #[test]
    fn a_primitive_depends_on_no_other() {
        let good = tree(&[("ratelimit/Cargo.toml", "[dependencies]\nspin.workspace = true\n")]);
        let bad = tree(&[("ratelimit/Cargo.toml", "[dependencies]\nworkqueue.workspace = true\n")]);
        tells_apart(primitives_do_not_know_each_other, &good, &bad);
    }

    #[test]
    fn a_link_leads_to_a_file() {
        let good = tree(&[("README.md", "[map](ARCHITECTURE.md) [site](https://example.org)")]);
        let bad = tree(&[("README.md", "[map](NO_SUCH_FILE.md)")]);
        std::env::set_current_dir(shell::root()).expect("the workspace is there");
        tells_apart(links_lead_somewhere, &good, &bad);
    }

    #[test]
    fn a_version_has_its_heading() {
        let manifest = ("Cargo.toml", "version = \"0.2.0\"\n");
        let good = tree(&[manifest, ("CHANGELOG.md", "## 0.2.0\n")]);
        let bad = tree(&[manifest, ("CHANGELOG.md", "## 0.1.0\n")]);
        tells_apart(the_changelog_has_this_version, &good, &bad);
    }
}
