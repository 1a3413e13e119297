"""Corpora that are read by the names of their files."""

import numpy as np
import pytest
import soundfile

from rtemo.api.errors import AudioInputError, ConfigError
from rtemo_models.kit.corpora.manifest import READERS, read_corpus

pytestmark = pytest.mark.unit

FILES = {
    "ravdess": {
        "Actor_12/03-01-06-01-02-01-12.wav": ("ravdess-12", "fear", "normal", "F", "train"),
        "Actor_17/03-01-05-02-01-02-17.wav": ("ravdess-17", "angry", "strong", "M", "dev"),
        "Actor_23/03-01-02-01-01-01-23.wav": ("ravdess-23", "calm", "normal", "M", "test"),
        "Actor_01/03-02-05-02-01-02-01.wav": None,  # song
    },
    "crema": {
        "AudioWAV/1001_IEO_ANG_HI.wav": ("crema-1001", "angry", "strong", "", "train"),
        "AudioWAV/1085_DFA_NEU_XX.wav": ("crema-1085", "neutral", "", "", "dev"),
    },
    "tess": {
        "YAF_pleasant_surprised/YAF_back_ps.wav": ("tess-YAF", "surprise", "", "F", "train"),
        "OAF_neutral/OA_bite_neutral.wav": ("tess-OAF", "neutral", "", "F", "train"),
    },
    "nemo": {
        "samples/EB0_anger_12.wav": ("nemo-EB0", "angry", "", "F", "train"),
        "samples/SM0_surprised_3.wav": ("nemo-SM0", "surprise", "", "", "dev"),
        "samples/ZZ0_sadness_3.wav": ("nemo-ZZ0", "sad", "", "", "test"),
    },
    "ased": {"sad/S4-01-02-02-06.wav": ("ased-06", "sad", "", "M", "dev")},
    "baved": {"0/0-m-21-3-1-921.wav": ("baved-0", "", "1", "M", "train")},
    "rakshak": {"help-safe-fearful-1563-02fc4ae7aa.wav": ("rakshak-02fc4ae7", "fear", "", "", "dev")},
}


@pytest.fixture
def released(tmp_path):
    for corpus, files in FILES.items():
        for name in files:
            (tmp_path / corpus / name).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / corpus / name, np.zeros(1600), 16_000)
    table = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
    (tmp_path / "nemo/data.tsv").write_text(table + "EB0_anger_12\tanger\tTak.\ttak\tEB0\tfemale\t30\n")
    return tmp_path


@pytest.mark.parametrize("corpus", FILES)
def test_names_say_speaker_emotion_level_gender_and_split(released, corpus):
    found = read_corpus(corpus, released / corpus)
    told = {c.path.split(f"/{corpus}/", 1)[1]: (c.speaker, c.emotion, c.level, c.gender, c.split) for c in found.clips}
    assert told == {name: said for name, said in FILES[corpus].items() if said}
    assert found.left_out.total() == len(FILES[corpus]) - len(told)


def test_texts_come_from_the_name_or_the_table(released):
    texts = {c: {clip.text for clip in read_corpus(c, released / c).clips} for c in ("tess", "nemo", "ravdess")}
    assert texts["tess"] == {"Say the word back.", "Say the word bite."}
    assert texts["nemo"] == {"Tak.", ""}
    assert "Dogs are sitting by the door." in texts["ravdess"]


def test_a_folder_of_something_else_is_refused_with_what_names_look_like(released):
    with pytest.raises(AudioInputError, match=r"no audio of names such as 1001_IEO_ANG_HI\.wav"):
        read_corpus("crema", released / "tess")
    with pytest.raises(AudioInputError, match="is no folder"):
        read_corpus("crema", released / "nowhere")


def test_a_corpus_without_a_reader_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match="not known here"):
        read_corpus("ketts", tmp_path)
    with pytest.raises(ConfigError, match=f"one of {', '.join(READERS)}"):
        read_corpus("emodb", tmp_path)
