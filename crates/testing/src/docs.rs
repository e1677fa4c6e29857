//! The command lines that a page of docs/ shows.

/// The lines of shell blocks that call `nodesys`, as a shell would split them.
pub fn told(page: &str) -> Vec<Vec<String>> {
    let mut told = Vec::new();
    let mut within = false;
    for line in page.lines().map(str::trim) {
        if line.starts_with("```") {
            within = line == "```sh";
        } else if within && line.starts_with("nodesys ") {
            let command = line.split(" > ").next().unwrap_or(line);
            let command = command.split(" # ").next().unwrap_or(command);
            told.push(command.split_whitespace().map(str::to_owned).collect());
        }
    }
    told
}
