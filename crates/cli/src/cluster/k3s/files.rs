//! Files of the driver k3s, put in their places.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use crate::download::hash::hash_of;
use crate::download::pin::Arch;
use crate::exit::Exit;
use crate::node::cluster_file::{ClusterFile, Made};
use crate::system::put;

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes a file be there with this content; whether it was otherwise.
pub(crate) fn place(
    home: &Path,
    file: &mut ClusterFile,
    path: &str,
    content: &[u8],
    mode: u32,
) -> anyhow::Result<bool> {
    file.will_make(home, Made::File { path: path.into() })?;
    put(Path::new(path), content, mode)
}

/// Copies an archive of images into its folder; whether it was not there.
pub(crate) fn place_archive(archive: &Path, goal: &Path) -> anyhow::Result<bool> {
    let cannot = || format!("cannot copy {} to {}", archive.display(), goal.display());
    if goal.exists() && hash_of(goal)? == hash_of(archive)? {
        return Ok(false);
    }
    let folder = goal.parent().with_context(cannot)?;
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
    let mut from = std::fs::File::open(archive).with_context(cannot)?;
    std::io::copy(&mut from, &mut new).with_context(cannot)?;
    new.persist(goal).with_context(cannot)?;
    Ok(true)
}

/// The pinned program is for this machine.
pub(crate) fn is_for(path: &Path, arch: Arch) -> anyhow::Result<()> {
    let shown = path.display();
    let mut head = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    let problem = match read {
        Err(_) => "it is no program".to_owned(),
        Ok(()) if head[..4] != *b"\x7fELF" => "it is no program (no ELF file)".to_owned(),
        Ok(()) => {
            let machine = u16::from_le_bytes([head[18], head[19]]);
            match [Arch::X86, Arch::Arm].into_iter().find(|it| it.elf_machine() == machine) {
                Some(found) if found == arch => return Ok(()),
                Some(found) => format!("it is for {found}, and this machine is {arch}"),
                None => format!("it is for a machine numbered {machine}, and this one is {arch}"),
            }
        }
    };
    Err(Exit::Failure
        .because(format!("{shown} cannot run here: {problem}; get another pin of k3s")))
}
