//! The option `--from` of the verbs of `rewards`.

/// The source of proofs and files.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// A backend's URL, or the URL or folder of published bundles; may be given more than once
    /// [default: --backend].
    #[arg(long = "from", value_name = "URL|FOLDER")]
    pub from: Vec<String>,
}
