"""The contract of plugins, lanes, sources, publishers and sinks as tests, for whoever has written one.

    RTEMO_TEST=NAME pytest --pyargs rtemo.testing

proves everything that is installed under a name (several with commas between them); options are those of the
configuration, as everywhere. A package with tests of its own may import them instead and say with a fixture what is to
be proved:

    from rtemo.testing.test_plugins import *

    @pytest.fixture
    def case():
        return Case("claps", {"above_dbfs": -20.0})

`rtemo.testing.rig.Rig` drives one plugin, and those it needs, hop by hop without an engine. pytest itself comes with
the tests of whoever uses this: `pip install pytest`.
"""
