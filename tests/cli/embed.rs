//! `gloss embed`.

use serde_json::Value;

use crate::{
    folder::{Folder, Run, models},
    language_models::language_models,
};

const TEXT: &str = "the cat sees the dog .\n\nthe owl hears Zo\u{eb} .\nfox\n";

fn folder() -> Folder {
    Folder::new().with("a.tokens", TEXT)
}

fn embed(folder: &Folder, model: &str, more: &[&str]) -> Run {
    folder.gloss(&[&["embed", "-q", "-m", model, "a.tokens"], more].concat())
}

/// Vectors, one a row.
type Rows = Vec<Vec<f32>>;

fn floats(bytes: &[u8], dim: usize) -> Rows {
    let values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let values: Vec<f32> = values.collect();
    assert_eq!(values.len() * 4, bytes.len());
    values.chunks(dim).map(<[f32]>::to_vec).collect()
}

/// Offsets of the sentences, and vectors.
fn of_safetensors(bytes: &[u8]) -> (Vec<usize>, Rows) {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).expect("a header");
    assert_eq!(header.as_object().map(|tensors| tensors.len()), Some(2));
    let tensor = |name: &str, dtype: &str| {
        let tensor = &header[name];
        assert_eq!(tensor["dtype"], dtype);
        let numbers = |key: &str| -> Vec<usize> {
            let list = tensor[key].as_array().expect("a list").iter();
            list.map(|number| number.as_u64().expect("a number") as usize).collect()
        };
        let place = numbers("data_offsets");
        (numbers("shape"), &data[place[0]..place[1]])
    };
    let (shape, offsets) = tensor("offsets", "I64");
    let offsets: Vec<usize> =
        offsets.as_chunks::<8>().0.iter().map(|n| i64::from_le_bytes(*n) as usize).collect();
    assert_eq!(shape, [offsets.len()]);
    let (shape, vectors) = tensor("vectors", "F32");
    let vectors = floats(vectors, shape[1]);
    assert_eq!(vectors.len(), shape[0]);
    (offsets, vectors)
}

fn of_npy(bytes: &[u8]) -> Rows {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..end]).expect("a header");
    assert!(header.contains("'descr': '<f4', 'fortran_order': False"), "{header}");
    let (_, shape) = header.split_once("'shape': (").expect("a shape");
    let (shape, _) = shape.split_once(')').expect("a shape");
    let shape: Vec<usize> = shape.split(", ").map(|n| n.parse().expect("a number")).collect();
    let rows = floats(&bytes[end..], shape[1]);
    assert_eq!((end % 64, rows.len()), (0, shape[0]));
    rows
}

fn of_jsonl(objects: &[Value]) -> Rows {
    let tokens = objects.iter().flat_map(|object| object["tokens"].as_array().expect("tokens"));
    let vector = |token: &Value| {
        let vector = token["vector"].as_array().expect("a vector").iter();
        vector.map(|value| value.as_f64().expect("a number") as f32).collect()
    };
    tokens.map(vector).collect()
}

#[test]
fn the_formats_agree() {
    let (taggers, models) = (models(), language_models());
    for (model, dim) in [(models.path("forward"), Some(16)), (taggers.ner(), None)] {
        let folder = folder();
        let objects = embed(&folder, &model, &[]).objects();
        let vectors = of_jsonl(&objects);
        assert_eq!(vectors.len(), 12);
        let width = dim.unwrap_or(vectors[0].len());
        assert!(vectors.iter().all(|vector| vector.len() == width), "{model}");
        assert_ne!(vectors[0], vectors[1]);
        for name in ["a.npy", "a.safetensors", "a.jsonl"] {
            assert_eq!(embed(&folder, &model, &["-o", name]).ok(), "");
        }
        assert_eq!(of_npy(&folder.read("a.npy")), vectors);
        let offsets = vec![0, 6, 6, 11, 12];
        assert_eq!(of_safetensors(&folder.read("a.safetensors")), (offsets, vectors));
        let jsonl = String::from_utf8(folder.read("a.jsonl")).expect("UTF-8");
        assert_eq!(crate::folder::objects(&jsonl), objects);
        assert_eq!(folder.names(), ["a.jsonl", "a.npy", "a.safetensors", "a.tokens"]);
    }
}

#[test]
fn objects_are_as_those_of_tag() {
    let (taggers, models, folder) = (models(), language_models(), folder());
    let objects = embed(&folder, &models.path("forward"), &[]).objects();
    let tag = ["tag", "-q", "-m", &taggers.ner(), "--to", "jsonl", "a.tokens"];
    let tagged = folder.gloss(&tag).objects();
    assert_eq!(objects.len(), 4);
    for (object, tagged) in objects.iter().zip(&tagged) {
        for key in ["doc", "text", "start", "end", "meta"] {
            assert_eq!(object[key], tagged[key], "{key}");
        }
        let lists = [object, tagged].map(|object| object["tokens"].as_array().expect("tokens"));
        assert_eq!(lists[0].len(), lists[1].len());
        for (token, tagged) in lists[0].iter().zip(lists[1]) {
            for key in ["text", "start", "end"] {
                assert_eq!(token[key], tagged[key], "{key}");
            }
        }
    }
}

#[test]
fn neither_batches_nor_threads_nor_the_output_matter() {
    let (folder, models) = (folder(), language_models());
    let model = models.path("backward");
    embed(&folder, &model, &["-o", "a.safetensors"]).ok();
    let want = folder.read("a.safetensors");
    for more in [["--batch-size", "1"], ["--batch-size", "7"], ["--threads", "3"]] {
        embed(&folder, &model, &[&more[..], &["-o", "b.safetensors"]].concat()).ok();
        assert!(folder.read("b.safetensors") == want, "{more:?}");
    }
    let args = ["embed", "-q", "-m", &model, "--to", "safetensors", "a.tokens"];
    let piped = folder.command(&args).output().expect("the program");
    assert!(piped.status.success() && piped.stdout == want);
}

#[test]
fn a_file_of_word_vectors_embeds() {
    let folder = folder().with("vectors.txt", "the 1 0.5\ncat -2 0.25\nowl 3 4\n");
    let vectors = of_jsonl(&embed(&folder, "vectors.txt", &[]).objects());
    assert_eq!(vectors[..2], [[1.0, 0.5], [-2.0, 0.25]]);
    assert_eq!((&vectors[0], &vectors[7]), (&vectors[3], &vec![3.0, 4.0]));
}

#[test]
fn nothing_has_no_vectors() {
    let (folder, models) = (Folder::new().with("a.tokens", ""), language_models());
    let model = models.path("forward");
    embed(&folder, &model, &["-o", "a.npy"]).ok();
    assert!(of_npy(&folder.read("a.npy")).is_empty());
    embed(&folder, &model, &["-o", "a.safetensors"]).ok();
    assert_eq!(of_safetensors(&folder.read("a.safetensors")), (vec![0], Vec::new()));
    assert_eq!(embed(&folder, &model, &[]).ok(), "");
}

#[test]
fn embed_fails_by_the_book() {
    let (folder, models) = (folder(), language_models());
    let model = models.path("forward");
    folder.gloss(&["embed", "a.tokens"]).fails(2);
    embed(&folder, &model, &["--to", "csv"]).fails(2);
    embed(&folder, "./absent", &[]).fails(4);
    embed(&folder, &model, &["-o", "no/a.npy"]).fails(5);
    embed(&folder, &model, &["absent.txt"]).fails(5);
    let bad = Folder::new().with("a.tokens", b"the cat\nab\xFF\n");
    for form in ["npy", "safetensors", "jsonl"] {
        let error = embed(&bad, &model, &["-o", "out", "--to", form]).fails(3);
        assert!(error.contains("a.tokens:2: byte 10 (0xFF)"), "{error}");
        assert_eq!(bad.names(), ["a.tokens"]);
    }
}

#[test]
fn states_are_those_of_every_character() {
    let (models, folder) = (language_models(), folder());
    for (direction, beyond) in [("forward", "the cat ".len()), ("backward", "the ".len())] {
        let model = models.path(direction);
        let objects = embed(&folder, &model, &["--states"]).objects();
        let tokens = objects[0]["tokens"].as_array().expect("tokens");
        let text: String = tokens.iter().filter_map(|token| token["text"].as_str()).collect();
        assert_eq!(text, "the cat sees the dog .");
        // At the space beyond a word they are its vector.
        let words = embed(&folder, &model, &[]).objects();
        assert_eq!(tokens[beyond - 1]["vector"], words[0]["tokens"][1]["vector"], "{direction}");
        assert_ne!(tokens[beyond - 1]["vector"], tokens[beyond]["vector"]);
    }
}

#[test]
fn a_page_shows_a_unit_over_the_text() {
    let folder = Folder::new().with("a.tokens", "a <b & c>\n");
    let models = language_models();
    let model = models.path("forward");
    let page = ["--states", "--unit", "1", "--to", "html"];
    let run = embed(&folder, &model, &page);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert_eq!(run.out.matches(" title=\"").count(), "a <b & c>".len());
    assert!(run.out.contains(">&lt;</span>") && run.out.contains(">&amp;</span>"));
    assert!(run.out.ends_with("</html>\n"));
    assert_eq!(embed(&folder, &model, &page[1..]).code, Some(2));
    assert_eq!(embed(&folder, &model, &page[..3]).code, Some(2));
    let run = embed(&folder, &model, &["--states", "--unit", "99", "--to", "html"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("units 0 to 15"), "{}", run.err);
}
