use nodesys_core::signature::SigningKey;

use super::*;
use crate::bundle::manifest::{Role, sign};
use crate::download::hash::hash_of;
use crate::download::pin::Arch;

struct Made {
    folder: tempfile::TempDir,
    signer: SigningKey,
}

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = SigningKey::from_bytes(&[7; 32]).unwrap();
        std::fs::write(folder.path().join("k3s"), b"a program").unwrap();
        std::fs::write(folder.path().join("manager.tar"), vec![5; 100_000]).unwrap();
        Self { folder, signer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn entry(&self, role: Role, name: &str) -> Entry {
        let path = self.path(name);
        let size = std::fs::metadata(&path).unwrap().len();
        Entry { role, name: name.to_owned(), sha256: hash_of(&path).unwrap(), size }
    }

    fn manifest(&self) -> Manifest {
        let image = format!("localhost/nodesys-manager@sha256:{}", "a".repeat(64));
        let files = vec![self.entry(Role::K3s, "k3s"), self.entry(Role::Archive, "manager.tar")];
        Manifest::new("v1.33.4+k3s1".to_owned(), Arch::X86, image.parse().unwrap(), files)
    }

    /// Packs it, with what is signed and what lies in it changed.
    fn pack(&self, change: impl FnOnce(&mut Manifest), files: &[&str]) -> PathBuf {
        let mut manifest = self.manifest();
        change(&mut manifest);
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let out = self.path("bundle");
        let files: Vec<PathBuf> = files.iter().map(|name| self.path(name)).collect();
        let signature = sign(&bytes, &self.signer);
        write_archive(&out, &bytes, &signature, files.iter().map(PathBuf::as_path)).unwrap();
        out
    }

    fn take(&self, bundle: &Path) -> anyhow::Result<Bundle> {
        let bundle = Bundle::open(bundle, self.signer.address())?;
        let goal = self.path("out");
        std::fs::create_dir_all(&goal).unwrap();
        bundle.unpack(|file| goal.join(&file.name))?;
        Ok(bundle)
    }
}

#[test]
fn what_is_packed_is_unpacked_and_pins_what_is_installed() {
    let made = Made::new();
    let bundle = made.take(&made.pack(|_| (), &["k3s", "manager.tar"])).unwrap();
    assert_eq!(std::fs::read(made.path("out/k3s")).unwrap(), b"a program");
    assert_eq!(std::fs::read(made.path("out/manager.tar")).unwrap(), vec![5; 100_000]);
    let pin = bundle.manifest.pin().unwrap();
    assert_eq!((pin.version.as_str(), pin.k3s.size), ("v1.33.4+k3s1", 9));
    assert_eq!(pin.images, None);
}

#[test]
fn nothing_is_taken_that_the_signer_does_not_stand_behind() {
    let made = Made::new();
    let good = made.pack(|_| (), &["k3s", "manager.tar"]);
    let stranger = SigningKey::from_bytes(&[8; 32]).unwrap().address();
    let error = Bundle::open(&good, stranger).unwrap_err().to_string();
    assert!(error.contains("is not by") && error.contains("--bundle-signer"), "{error}");

    // Any changed byte, wherever it is, is found by signature, size or hash.
    let whole = std::fs::read(&good).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(97) {
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        std::fs::write(&good, &changed).unwrap();
        let _ = std::fs::remove_dir_all(made.path("out"));
        if made.take(&good).is_err() {
            refused += 1;
        } else {
            // Padding and header fields that nobody reads: the files are what was signed.
            assert_eq!(std::fs::read(made.path("out/k3s")).unwrap(), b"a program");
            assert_eq!(std::fs::read(made.path("out/manager.tar")).unwrap(), vec![5; 100_000]);
        }
    }
    assert!(refused > whole.len() / 97 * 9 / 10, "{refused}");
    for length in [0, 100, 5000, whole.len() / 2] {
        std::fs::write(&good, &whole[..length]).unwrap();
        let _ = std::fs::remove_dir_all(made.path("out"));
        made.take(&good).unwrap_err();
    }
}

#[test]
fn a_signed_manifest_must_still_make_sense() {
    let made = Made::new();
    let refused = |change: fn(&mut Manifest), files: &[&str], part: &str| {
        let _ = std::fs::remove_dir_all(made.path("out"));
        let error = made.take(&made.pack(change, files)).unwrap_err();
        let words = format!("{error:#}");
        assert!(words.contains(part), "{words}");
    };
    let both = ["k3s", "manager.tar"];
    refused(|it| it.files[1].name = "../../etc/passwd".to_owned(), &both, "no name of a file");
    refused(|it| it.files[1].name = ".x".to_owned(), &both, "no name of a file");
    refused(|it| it.files[0].role = Role::Archive, &both, "needs one k3s");
    refused(|it| it.files[1].size = 5, &both, "not the signed one");
    refused(|_| (), &["k3s"], "lacks manager.tar");
    std::fs::write(made.path("plain"), "not a bundle").unwrap();
    let error = made.take(&made.path("plain")).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Usage);
}
