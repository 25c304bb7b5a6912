import pytest
from msgspec.structs import replace

from router_backend.config.repository import Signature, TensorSpec, check_agreement, common_signature
from router_backend.errors import ConfigurationError

IMAGE = TensorSpec("image", "TYPE_FP32", (3, 224, 224))
MASK = TensorSpec("mask", "TYPE_BOOL", (224, 224))
SCORES = TensorSpec("scores", "TYPE_FP32", (1000,))
CLASSIFIER = Signature((IMAGE,), (SCORES,), max_batch_size=8)


def disagreement(one: Signature, other: Signature) -> str:
    """The message with which the models 'a' and 'b' of these signatures are refused."""
    with pytest.raises(ConfigurationError) as error:
        check_agreement("a", one, "b", other)
    return str(error.value)


class TestReading:
    def test_a_configuration_in_its_json_form_gives_tensors_and_batch_size(self):
        config = {
            "input": [
                {"name": "image", "data_type": "TYPE_FP32", "dims": ["3", "224", "224"]},
                {"name": "mask", "data_type": "TYPE_BOOL", "dims": [224, 224], "optional": True},
            ],
            "output": [{"name": "scores", "data_type": "TYPE_FP32", "dims": ["1000"]}],
            "max_batch_size": 8,
        }
        assert Signature.of(config) == Signature((IMAGE, replace(MASK, optional=True)), (SCORES,), 8)

    def test_an_empty_configuration_has_no_tensors_and_no_batch(self):
        assert Signature.of({}) == Signature((), (), 0)

    def test_a_scalar_has_no_dims(self):
        config = {"input": [{"name": "temperature", "data_type": "TYPE_FP32"}]}
        assert Signature.of(config).inputs == (TensorSpec("temperature", "TYPE_FP32", ()),)


class TestTensorSpec:
    def test_reads_as_type_and_dims(self):
        assert str(IMAGE) == "TYPE_FP32 [3, 224, 224]"

    def test_becomes_what_triton_takes_and_says_optional_only_where_it_is(self):
        spec = {"name": "image", "data_type": "TYPE_FP32", "dims": [3, 224, 224]}
        assert IMAGE.as_dict() == spec
        assert replace(IMAGE, optional=True).as_dict() == {**spec, "optional": True}


class TestCommonSignature:
    def test_is_what_all_share_with_the_largest_batch(self):
        signatures = {size: replace(CLASSIFIER, max_batch_size=size) for size in (8, 32, 16)}
        assert common_signature(signatures) == replace(CLASSIFIER, max_batch_size=32)

    def test_of_one_model_is_its_own(self):
        assert common_signature({"a": CLASSIFIER}) == CLASSIFIER

    def test_names_the_two_models_that_disagree(self):
        other = replace(CLASSIFIER, inputs=(replace(IMAGE, dims=(3, 299, 299)),))
        with pytest.raises(ConfigurationError, match="models 'a' and 'c': input 'image': expected"):
            common_signature({"a": CLASSIFIER, "b": CLASSIFIER, "c": other})


class TestAgreement:
    def test_the_order_of_the_tensors_does_not_matter(self):
        both = replace(CLASSIFIER, inputs=(IMAGE, MASK))
        check_agreement("a", both, "b", replace(both, inputs=(MASK, IMAGE)))

    def test_the_size_of_the_largest_batch_does_not_matter(self):
        check_agreement("a", CLASSIFIER, "b", replace(CLASSIFIER, max_batch_size=64))

    @pytest.mark.parametrize(
        "other", [replace(IMAGE, data_type="TYPE_FP16"), replace(IMAGE, dims=(3, -1, -1))]
    )
    def test_a_type_or_dims_that_differ_name_models_tensor_and_both_forms(self, other):
        message = disagreement(CLASSIFIER, replace(CLASSIFIER, inputs=(other,)))
        assert message == (
            f"models 'a' and 'b': input 'image': expected TYPE_FP32 [3, 224, 224] as in 'a', found {other} "
            "in 'b'; give the variants of one model the same names, types and dims"
        )

    def test_a_tensor_that_the_second_lacks_is_named_with_what_it_has(self):
        message = disagreement(CLASSIFIER, replace(CLASSIFIER, outputs=(replace(SCORES, name="probs"),)))
        lacks, has = message.split("\n")
        assert "output 'scores': expected TYPE_FP32 [1000] as in 'a', found none in 'b'" in lacks
        assert "output 'probs': expected none as in 'a', found TYPE_FP32 [1000] in 'b'" in has

    def test_a_model_with_no_tensors_at_all_is_told_so(self):
        message = disagreement(CLASSIFIER, Signature((), (), 8))
        assert message.count("found none in 'b'") == len(("input", "output"))

    def test_a_tensor_that_only_the_second_has_is_named(self):
        message = disagreement(CLASSIFIER, replace(CLASSIFIER, inputs=(IMAGE, MASK)))
        assert "models 'a' and 'b': input 'mask': expected none as in 'a', found " in message

    @pytest.mark.parametrize(("one", "other"), [(0, 8), (8, 0)])
    def test_a_batch_in_one_and_none_in_the_other_is_refused_with_both_sizes(self, one, other):
        message = disagreement(
            replace(CLASSIFIER, max_batch_size=one), replace(CLASSIFIER, max_batch_size=other)
        )
        assert (
            f"models 'a' and 'b': max_batch_size: expected both 0 or neither, found {one} and {other}"
            in message
        )
