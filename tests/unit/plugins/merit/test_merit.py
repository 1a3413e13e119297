"""The merit plugin on real graphs with random weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from rtemo.api import EMOTIONS, Block, HopFlag, ModelCard, ModelError, ModelHandle, StateTable, StreamFormat
from rtemo.runtime import ModelStore
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from tests.contract.harness import Context, Rig
from tests.contract.test_plugins import assert_same
from tests.fakes.merit import FRONT_END, merit_bundles
from tests.fakes.voice import voice

pytestmark = pytest.mark.unit

HOP = 160
LATENCY = 320
MARKS = MeritPlugin(MeritOptions()).spec.provides


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory):
    """Make bundles, each kind once: `bundle_of(gain=1.0)` gives the options that name them."""
    made: dict[str, dict[str, str]] = {}

    def make(**kind) -> dict[str, str]:
        if (key := repr(kind)) not in made:
            made[key] = merit_bundles(tmp_path_factory.mktemp("merit"), **kind)._asdict()
        return made[key]

    return make


@pytest.fixture(scope="session")
def merit(bundle_of):
    """Make a plugin on bundles whose gain depends on all that is heard."""
    return lambda **options: MeritPlugin(MeritOptions(**bundle_of(), **options))


def played(plugin: MeritPlugin, sound: np.ndarray) -> np.ndarray:
    """Play one stream and give its audio with the declared delay removed."""
    out = Rig(plugin).play({"a": sound})["a"].samples
    return out[plugin.spec.latency_samples :][: len(sound)]


class Witness:
    """A model that keeps copies of all that went through it."""

    def __init__(self, inner: ModelHandle) -> None:
        self.card: ModelCard = inner.card
        self.new_state, self.warm, self._inner = inner.new_state, inner.warm, inner
        self.calls: list[tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]] = []

    def run(self, inputs: Mapping[str, Any], state: StateTable, rows: Any) -> dict[str, Any]:
        given = {name: array.copy() for name, array in inputs.items()}
        outputs = self._inner.run(inputs, state, rows)
        where = np.arange(rows) if isinstance(rows, int) else rows.copy()
        self.calls.append((where, given, {name: array.copy() for name, array in outputs.items()}))
        return outputs


class Bench:
    """Drives one processor without a VAD: rows are streams, speech is what the test says."""

    format = StreamFormat()
    audio_demand = "always"

    def __init__(self, plugin: MeritPlugin, capacity: int = 100) -> None:
        self._store = ModelStore()
        self.models: dict[str, Witness] = {}
        self.processor = plugin.open(self, capacity)
        self.n = 0
        self.ticks = 0

    def model(self, name: str) -> Witness:
        witness = Witness(self._store.load(name))
        self.models[witness.card.name] = witness
        return witness

    def admit(self, count: int = 1) -> None:
        for _ in range(count):
            self.processor.admit(self.n)
            self.n += 1

    def hop(self, samples: np.ndarray, flags: int = 0) -> np.ndarray:
        """Run float32 [n, hop] and give the posterior that the marks show; `samples` is edited."""
        return self.marks(samples, flags)["emotion.posterior"]

    def marks(self, samples: np.ndarray, flags: int = 0, voice: int = 1) -> dict[str, np.ndarray]:
        """Run float32 [n, hop] and give all marks."""
        n = self.n
        marks: dict[str, Any] = {
            "vad.speech": np.ones(n, np.uint8),
            "vad.voice": np.full(n, voice, np.uint8),
        }
        for mark in MARKS:
            marks[mark.name] = np.full((n, *mark.shape), 77, mark.dtype)
        start = np.full(n, self.ticks * HOP)
        self.processor.process(
            Block(self.ticks, samples, np.arange(n), start, np.full(n, flags, np.uint8), marks), lambda *_: None
        )
        self.ticks += 1
        return marks


def noise(seed: int, *shape: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("with_bins", [True, False])
def test_whole_gain_gives_back_the_input_after_the_declared_latency(bundle_of, with_bins):
    plugin = MeritPlugin(MeritOptions(**bundle_of(gain=1.0, with_bins=with_bins)))
    sound = noise(0, 40 * HOP + 33)
    assert plugin.spec.latency_samples == LATENCY
    out = Rig(plugin).play({"a": sound})["a"].samples
    assert np.abs(out[:LATENCY]).max() < 1e-6
    np.testing.assert_allclose(out[LATENCY:][: len(sound)], sound, atol=1e-6)


@pytest.mark.parametrize("options", [{"wet": 0.0}, {"attenuation_limit_db": 0.0}])
def test_nothing_wet_and_nothing_allowed_give_back_the_input_too(merit, options):
    sound = noise(1, 40 * HOP)
    np.testing.assert_allclose(played(merit(**options), sound), sound, atol=1e-6)


def test_enhancement_changes_the_audio(merit):
    sound = voice(3.0)
    assert np.abs(played(merit(), sound) - sound).max() > 0.05


@pytest.mark.parametrize("limit_db", [6.0, 30.0])
def test_attenuation_limit_is_what_is_left_when_the_network_wants_silence(bundle_of, limit_db):
    sound = noise(2, 40 * HOP)
    silent = played(MeritPlugin(MeritOptions(**bundle_of(gain=0.0))), sound)
    assert np.abs(silent).max() < 1e-6
    limited = played(MeritPlugin(MeritOptions(**bundle_of(gain=0.0), attenuation_limit_db=limit_db)), sound)
    np.testing.assert_allclose(limited, sound * 10 ** (-limit_db / 20), atol=1e-6)


def test_wet_share_mixes_enhanced_and_delayed_input(merit):
    sound = voice(2.0, 1)
    np.testing.assert_allclose(played(merit(wet=0.3), sound), 0.3 * played(merit(), sound) + 0.7 * sound, atol=1e-5)


def test_without_enhancement_audio_passes_at_once_with_its_bits_and_no_enhancer_is_loaded(bundle_of):
    bundles = bundle_of() | {"enhance_bundle": "there-is-no-such-bundle"}
    plugin = MeritPlugin(MeritOptions(**bundles, enhance=False))
    assert (plugin.spec.latency_samples, plugin.spec.edits_audio, plugin.spec.cadence_hops) == (0, False, 4)
    bench = Bench(plugin)
    bench.admit(3)
    for k in range(20):
        sound = noise(k, 3, HOP)
        sound[0, 5], sound[1, 6] = np.nan, np.inf
        given = sound.copy()
        bench.hop(sound)
        assert given.tobytes() == sound.tobytes()


def test_events_are_the_same_with_and_without_enhancement(merit):
    sound = voice(8.0, 2)
    enhanced, untouched = (Rig(merit(enhance=on)).play({"a": sound})["a"].events for on in (True, False))
    assert len(untouched) > 4
    assert untouched == enhanced[: len(untouched)]


def test_marks_stand_beside_the_audio_they_came_with(merit):
    late, prompt = Bench(merit()), Bench(merit(enhance=False))
    late.admit()
    prompt.admit()
    sound = noise(3, 60, 1, HOP)
    shown = [(late.hop(hop.copy()), prompt.hop(hop.copy())) for hop in sound]
    assert np.isnan(shown[8][0]).all()
    assert np.isnan(shown[6][1]).all()
    assert not np.isnan(shown[7][1]).any()
    late_hops = LATENCY // HOP
    for k in range(late_hops, 60):
        np.testing.assert_array_equal(shown[k][0], shown[k - late_hops][1])


@pytest.mark.parametrize("streams", [1, 5, 40, 90])
def test_enhancer_hears_the_context_of_the_step_before_the_last(merit, streams):
    bench = Bench(merit())
    told: list[list[np.ndarray]] = [[] for _ in range(streams)]
    born = []
    listen, enhance = bench.models["merit-listen"], bench.models["merit-enhance"]
    for tick in range(60):
        while bench.n < streams and bench.n <= 7 * tick:
            born.append(tick)
            bench.admit()
        listen.calls.clear()
        enhance.calls.clear()
        bench.hop(noise(tick, bench.n, HOP))
        ((_, given, _),) = enhance.calls
        for row in range(bench.n):
            step = (tick - born[row]) // 4 - 2
            expected = told[row][step] if step >= 0 else np.zeros(6, np.float32)
            np.testing.assert_array_equal(given["context"][row], expected)
        for rows, _, outputs in listen.calls:
            for row, context in zip(rows, outputs["context"], strict=True):
                told[row].append(context)
    assert np.abs(told[0][5]).max() > 0.01


def test_context_influences_the_gain(merit):
    bench = Bench(merit())
    bench.admit()
    for k in range(20):
        bench.hop(noise(k, 1, HOP))
    enhance = bench.models["merit-enhance"]
    _, given, _ = enhance.calls[-1]
    gains = [
        enhance.run(given | {"context": given["context"] + change}, enhance.new_state(1), 1)["gain"].copy()
        for change in (np.float32(0), np.float32(1))
    ]
    assert np.abs(gains[0] - gains[1]).max() > 0.01


def test_neighbours_stagger_and_batch_do_not_show(merit):
    random = np.random.default_rng(4)
    sounds = {f"s{k}": voice(float(random.uniform(0.5, 4.0)), k % 7) for k in range(64)}
    starts = {name: int(random.integers(0, 100)) for name in sounds}
    together = Rig(merit(), capacity=64).play(sounds, starts)
    for name in list(sounds)[::6]:
        assert_same(together[name], Rig(merit(), capacity=1).play({name: sounds[name]})[name])


def test_one_stream_sixty_four_times_says_the_same_sixty_four_times(merit):
    sound = voice(4.0, 5)
    alone = Rig(merit()).play({"a": sound})["a"]
    assert alone.events
    crowd = Rig(merit(), capacity=64).play({f"s{k}": sound for k in range(64)})
    for heard in crowd.values():
        assert_same(heard, alone)


@pytest.mark.parametrize(("count", "batch", "per_step"), [(16, 16, 1), (20, 20, 1), (64, 32, 2), (100, 32, 4)])
def test_listening_is_spread_over_the_ticks_in_batches_that_pay(merit, count, batch, per_step):
    bench = Bench(merit())
    bench.admit(count)
    for k in range(43):
        bench.hop(noise(k, count, HOP))
    rows_per_call = [len(rows) for rows, _, _ in bench.models["merit-listen"].calls]
    assert max(rows_per_call) == batch
    assert len(rows_per_call) == 10 * per_step
    assert sum(rows_per_call) == 10 * count


def test_streams_that_came_at_different_times_share_their_steps_and_a_few_wait_for_nothing(merit):
    for count, share in ((24, 12), (8, 2)):
        bench = Bench(merit())
        for k in range(32):
            if k < 8:
                bench.admit(count // 8)
            bench.hop(noise(k, bench.n, HOP))
        calls = [len(rows) for rows, _, _ in bench.models["merit-listen"].calls[-8:]]
        assert set(calls) == {share}


def test_a_stream_that_ends_hears_its_last_complete_step(merit):
    for hops in range(8, 13):
        bench = Bench(merit())
        bench.admit(90)
        for k in range(hops):
            bench.hop(noise(k, 90, HOP), HopFlag.LAST if k == hops - 1 else 0)
        steps = np.bincount(np.concatenate([rows for rows, _, _ in bench.models["merit-listen"].calls]), minlength=90)
        assert (steps == hops // 4).all()


def test_what_is_not_a_number_is_heard_as_silence_and_forgotten(merit):
    sound = noise(6, 3, 90 * HOP)
    muted = sound.copy()
    muted[1, 30 * HOP : 31 * HOP] = np.clip(muted[1, 30 * HOP : 31 * HOP], -1, 1)
    muted[1, 30 * HOP + 7] = 0.0
    sound[1, 30 * HOP + 7] = np.nan
    broken, whole = Bench(merit()), Bench(merit())
    broken.admit(3)
    whole.admit(3)
    for k in range(0, 90 * HOP, HOP):
        one, other = sound[:, k : k + HOP].copy(), muted[:, k : k + HOP].copy()
        broken.hop(one)
        whole.hop(other)
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)


def test_pooling_is_forgotten_between_turns_and_the_room_is_not(merit):
    bench = Bench(merit(span_s=0.4))
    bench.admit()
    network = bench.processor._listener._network
    masses, memories = [], []
    for k in range(100):
        bench.hop(noise(k, 1, HOP))
        masses.append(float(network["pool_mass"][0, 0]))
        memories.append(float(np.abs(network["memory"]).max()))
    assert max(masses) == 10 - 1  # steps of a span; the tenth closes it
    assert min(memories[8:]) > 0


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"labels": ("happy", "sad")}, r"'merit-listen' knows happy, sad, not the eight emotions"),
        ({"hops_per_step": 2}, r"makes a step of 2 hops, expected 4; choose another `listen_bundle`"),
        (
            {"front_end": FRONT_END | {"mel_count": 40}},
            r"takes 'bands' as \[4, 64\] float32, expected \[4, 40\] float32",
        ),
        ({"front_end": FRONT_END | {"cepstra": 13}}, r"needs another front end \(.*cepstra"),
        ({"front_end": FRONT_END | {"hop_samples": 80}}, r"takes hops of 80 samples at 16000 Hz, the engine gives 160"),
        ({"front_end": FRONT_END | {"low_hz": 90.0}}, r"need different front ends; choose two that were trained"),
    ],
)
def test_bundles_that_do_not_fit_are_refused_with_a_sentence(tmp_path, facts, said):
    bundles = merit_bundles(tmp_path, **facts)._asdict()
    with pytest.raises(ModelError, match=said):
        MeritPlugin(MeritOptions(**bundles)).open(Context(), 1)


@pytest.mark.parametrize("enhance", [True, False])
def test_words_are_fresh_at_one_hop_of_a_step_and_stand_beside_the_audio(merit, enhance):
    bench = Bench(merit(enhance=enhance))
    bench.admit(3)
    shown = [bench.marks(noise(k, 3, HOP), voice=k % 3 != 0) for k in range(40)]
    calls = bench.models["merit-listen"].calls
    told = [[output["words"][list(rows).index(row)] for rows, _, output in calls if row in rows] for row in range(3)]
    first = 7 + (LATENCY // HOP if enhance else 0)  # a step is published when the one after it is complete
    for k, marks in enumerate(shown):
        step, is_fresh = (k - first) // 4, k >= first and (k - first) % 4 == 0
        assert (marks["merit.is_fresh"] == is_fresh).all(), k
        for row in range(3):
            expected = told[row][step] if k >= first else np.full(192, np.nan)
            np.testing.assert_array_equal(marks["merit.words"][row], expected)
        voiced = np.mean([j % 3 != 0 for j in range(4 * step, 4 * step + 4)]) if k >= first else np.nan
        np.testing.assert_array_equal(marks["merit.voiced"], np.full(3, voiced, np.float32))


def test_a_listener_without_words_leaves_them_unknown(bundle_of):
    bench = Bench(MeritPlugin(MeritOptions(**bundle_of(words=0))))
    bench.admit()
    for k in range(30):
        marks = bench.marks(noise(k, 1, HOP))
        assert np.isnan(marks["merit.words"]).all()
        assert not marks["merit.is_fresh"].any()


def test_words_of_another_length_are_refused(tmp_path):
    bundles = merit_bundles(tmp_path, words=100)._asdict()
    with pytest.raises(ModelError, match=r"gives 'words' as \[100\], expected \[192\]; choose another `listen_bundle`"):
        MeritPlugin(MeritOptions(**bundles)).open(Context(), 1)


def test_bundles_in_each_others_place_are_refused(bundle_of):
    listen, enhance = bundle_of().values()
    for option, wrong in (("listen_bundle", enhance), ("enhance_bundle", listen)):
        with pytest.raises(ModelError, match=f"does not fit the merit plugin: .*; choose another `{option}`"):
            MeritPlugin(MeritOptions(**bundle_of() | {option: wrong})).open(Context(), 1)


def test_spec_requires_voice_activity_and_tells_emotion():
    spec = MeritPlugin(MeritOptions()).spec
    assert spec.requires == ("vad.speech", "vad.voice")
    assert [mark.name for mark in spec.provides] == [
        *("emotion.posterior", "emotion.arousal", "emotion.valence"),
        *("merit.words", "merit.voiced", "merit.is_fresh"),
    ]
    assert spec.provides[0].shape == (len(EMOTIONS),)
    assert spec.edits_audio
