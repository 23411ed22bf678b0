"""The bundled arrays of the benchmarks' targets are what the tables say."""

import numpy as np

from hf_transferability.benchmark.scored_targets import bundled_targets, worked_out


def test_the_bundled_file_is_what_the_tables_say():
    seen = 0
    for column, targets in worked_out():
        bundled = bundled_targets(column)
        assert [(one.target, one.scenario) for one in bundled] == [(one.target, one.scenario) for one in targets]
        for one, expected in zip(bundled, targets, strict=True):
            np.testing.assert_allclose(one.performance, expected.performance, rtol=1e-12)
            assert set(one.scores) == set(expected.scores)
            for form, values in one.scores.items():
                np.testing.assert_allclose(values, expected.scores[form], rtol=1e-12, err_msg=str(form))
            assert (one.parameters is None) == (expected.parameters is None)
            if one.parameters is not None:
                np.testing.assert_array_equal(one.parameters, expected.parameters)
        seen += len(targets)
    assert seen > 50
