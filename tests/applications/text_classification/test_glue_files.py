"""GLUE as it lies on disk: each task's own columns, headers and quirks."""

import numpy as np
import pytest

from zorro_keras.applications.pipelines.faults import ConfigError, SourceError
from zorro_keras.applications.pipelines.source_rows import BadRowsError
from zorro_keras.applications.text_classification.glue_files import is_glue, read_glue
from zorro_keras.applications.text_classification.glue_tasks import GLUE_TASKS, MULTITASK

# Task -> file -> its lines, in the columns of the official folders.
OFFICIAL = {
    "CoLA": {
        "train.tsv": ["gj04\t1\t\tOur friends won't buy this.", "gj04\t0\t*\tThey drank the pub."],
        "dev.tsv": ["gj04\t1\t\tThe sailors rode the breeze."],
        "test.tsv": ["index\tsentence", "0\tBill whistled past the house."],
    },
    "SST-2": {
        "train.tsv": ["sentence\tlabel", 'a " smile " on the face \t1', "no wit , only labored gags \t0"],
        "dev.tsv": ["sentence\tlabel", "unflinchingly bleak \t0"],
        "test.tsv": ["index\tsentence", "0\tuneasy mishmash"],
    },
    "MRPC": {
        "train.tsv": ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", '1\t702\t701\tAmrozi "said.\tHe said.'],
        "dev.tsv": ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t703\t704\tOne.\tTwo."],
        "test.tsv": ["index\t#1 ID\t#2 ID\t#1 String\t#2 String", "0\t1\t2\tThree.\tFour."],
    },
    "QQP": {
        "train.tsv": ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t2\t3\tHow?\tWhy?\t0"],
        "dev.tsv": ["id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate", "1\t2\t3\tHow?\tHow so?\t1"],
        "test.tsv": ["id\tquestion1\tquestion2", "0\tWould?\tCould?"],
    },
    "STS-B": {
        "train.tsv": [
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
            "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.\t5.000",
        ],
        "dev.tsv": [
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore",
            "0\tmain-captions\tMSRvid\t2012test\t0000\tnone\tnone\tA man.\tA hat.\t0.250",
        ],
        "test.tsv": [
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2",
            "0\tmain-captions\tMSRvid\t2012test\t0024\tnone\tnone\tA girl.\tA boy.",
        ],
    },
    "MNLI": {
        "train.tsv": [
            "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse"
            "\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
            "0\t3\t3n\tgov\t( a )\t( b )\t(R a)\t(R b)\tCream has two.\tTwo make it.\tneutral\tneutral",
        ],
        **{
            f"dev_{kind}.tsv": [
                "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse"
                "\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2\tgold_label",
                f"0\t6\t6e\tslate\t( a )\t( b )\t(R a)\t(R b)\tNew rights, {kind}.\tNice.\tneutral\tneutral\t"
                "contradiction",
            ]
            for kind in ("matched", "mismatched")
        },
        **{
            f"test_{kind}.tsv": [
                "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse"
                "\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2",
                "0\t3\t3\ttravel\t( a )\t( b )\t(R a)\t(R b)\tHills.\tFew.",
            ]
            for kind in ("matched", "mismatched")
        },
    },
    "QNLI": {
        "train.tsv": ["index\tquestion\tsentence\tlabel", "0\tWhen?\tIn 1900.\tentailment"],
        "dev.tsv": ["index\tquestion\tsentence\tlabel", "0\tWho?\tNobody.\tnot_entailment"],
        "test.tsv": ["index\tquestion\tsentence", "0\tWhat?\tThis."],
    },
    "RTE": {
        "train.tsv": ["index\tsentence1\tsentence2\tlabel", "0\tNo weapons.\tWeapons.\tnot_entailment"],
        "dev.tsv": ["index\tsentence1\tsentence2\tlabel", "0\tDana died.\tDana was alive.\tentailment"],
        "test.tsv": ["index\tsentence1\tsentence2", "0\tMangla.\tShe."],
    },
    "WNLI": {
        "train.tsv": ["index\tsentence1\tsentence2\tlabel", "0\tI stuck a pin.\tThe pin had it.\t1"],
        "dev.tsv": ["index\tsentence1\tsentence2\tlabel", "0\tThe drain.\tIt.\t0"],
        "test.tsv": ["index\tsentence1\tsentence2", "0\tMaude.\tDora."],
    },
    "AX": {"AX.tsv": ["index\tsentence1\tsentence2", "0\tThe cat sat.\tThe cat did not sit."]},
}
EXPECTED = {
    "CoLA": ([1, 0], [("Our friends won't buy this.",), ("They drank the pub.",)]),
    "SST-2": ([1, 0], [('a " smile " on the face ',), ("no wit , only labored gags ",)]),
    "MRPC": ([1], [('Amrozi "said.', "He said.")]),
    "QQP": ([0], [("How?", "Why?")]),
    "STS-B": ([5.0], [("A plane.", "An air plane.")]),
    "MNLI": ([1], [("Cream has two.", "Two make it.")]),
    "QNLI": ([0], [("When?", "In 1900.")]),
    "RTE": ([1], [("No weapons.", "Weapons.")]),
    "WNLI": ([1], [("I stuck a pin.", "The pin had it.")]),
}


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    folder = tmp_path_factory.mktemp("glue")
    for task, files in OFFICIAL.items():
        write(folder / task, files)
    return folder


def parts(data):
    return {(part.name, part.split): part for part in data.sets}


@pytest.mark.parametrize("task", EXPECTED)
def test_every_official_folder_is_read(official, task):
    labels, texts = EXPECTED[task]
    for path, tasks in ((official, (task,)), (official / task, ())):
        data = read_glue(path, tasks)
        train = parts(data)[task, "train"]
        assert (train.labels.tolist(), list(train.texts)) == (labels, texts)
        assert train.labels.dtype == (np.float32 if task == "STS-B" else np.int32)
        assert not data.problems and [each.name for each in data.tasks] == [task]
        assert train.ids[0].startswith(f"{task}/train.tsv line ")
        assert parts(data)[task, "test"].labels is None and len(parts(data)[task, "val"]) == 1


def test_all_tasks_are_read_in_the_order_of_their_names(official):
    data = read_glue(official)
    assert [task.name for task in data.tasks] == sorted(EXPECTED)
    assert len(data.label_names) == 7 * 2 + 3 + 1  # seven pairs, MNLI's three, one score
    assert set(MULTITASK) == set(EXPECTED) - {"WNLI"}


def test_mnli_has_matched_and_mismatched_sets_and_answers_the_diagnosis(official):
    found = parts(read_glue(official, ("MNLI",)))
    assert found["MNLI", "val"].texts == (("New rights, matched.", "Nice."),)
    assert found["MNLI mismatched", "val_mismatched"].texts == (("New rights, mismatched.", "Nice."),)
    assert found["MNLI", "val"].labels.tolist() == [2]
    assert found["AX", "test"].task == "MNLI" and found["AX", "test"].labels is None
    assert ("AX", "test") not in parts(read_glue(official, ("RTE",)))


def test_the_full_diagnosis_has_labels(tmp_path):
    write(tmp_path / "MNLI", OFFICIAL["MNLI"])
    header = "Lexical Semantics\tLogic\tKnowledge\tPredicate\tDomain\tPremise\tHypothesis\tLabel"
    write(
        tmp_path / "diagnostic",
        {"diagnostic-full.tsv": [header, "\t\tNegation\t\tArt\tA.\tNot A.\tcontradiction"]},
    )
    found = parts(read_glue(tmp_path))["AX", "test"]
    assert (found.texts, found.labels.tolist()) == ((("A.", "Not A."),), [2])


def test_mrpc_is_read_as_it_was_published_and_dev_ids_make_the_development_set(tmp_path):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    files = {
        "msr_paraphrase_train.txt": [header, "1\t10\t11\tA.\tB.", '0\t20\t21\t"C.\tD.'],
        "msr_paraphrase_test.txt": [header, "1\t30\t31\tE.\tF."],
    }
    write(tmp_path / "MRPC", files)
    without = parts(read_glue(tmp_path))
    assert len(without["MRPC", "train"]) == 2 and ("MRPC", "val") not in without
    assert without["MRPC", "test"].labels.tolist() == [1]
    write(tmp_path / "MRPC", {"dev_ids.tsv": ["20\t21"]})
    found = parts(read_glue(tmp_path))
    assert found["MRPC", "train"].texts == (("A.", "B."),)
    assert found["MRPC", "val"].texts == (('"C.', "D."),)


def test_bad_rows_are_collected_with_file_and_line_and_reported_together(tmp_path):
    lines = [
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
        "1\t2\t3\tHow?\tWhy?\t0",
        "1\t2\t3\tHow?",
        "1\t2\t3\t\tWhy?\t0",
        "1\t2\t3\tHow?\tWhy?\t2",
    ]
    write(tmp_path / "QQP", {"train.tsv": lines})
    (tmp_path / "QQP" / "dev.tsv").write_bytes(f"{lines[0]}\n".encode() + b"1\t2\t3\t\xff?\tWhy?\t0\n")
    data = read_glue(tmp_path)
    assert [(problem.row, problem.reason) for problem in data.problems] == [
        ("QQP/train.tsv line 3", "bad_row"),
        ("QQP/train.tsv line 4", "bad_row"),
        ("QQP/train.tsv line 5", "bad_label"),
        ("QQP/dev.tsv line 2", "bad_encoding"),
    ]
    assert data.num_train == 1
    with pytest.raises(
        BadRowsError, match=r"(?s)4 rows.*train.tsv line 3.*must have 6 cells.*dev.tsv line 2"
    ):
        data.check(tmp_path, 3)
    data.check(tmp_path, 4)


@pytest.mark.parametrize("score", ["5.5", "-0.1", "nan", "high", ""])
def test_a_score_outside_its_range_is_a_bad_row(tmp_path, score):
    row = OFFICIAL["STS-B"]["train.tsv"][1].replace("5.000", score)
    write(tmp_path / "STS-B", {"train.tsv": [*OFFICIAL["STS-B"]["train.tsv"], row]})
    data = read_glue(tmp_path)
    assert [problem.reason for problem in data.problems] == ["bad_label"] and data.num_train == 1


def test_a_missing_file_or_column_is_named(tmp_path):
    write(tmp_path / "RTE", {"dev.tsv": OFFICIAL["RTE"]["dev.tsv"]})
    with pytest.raises(SourceError, match="RTE has no training file"):
        read_glue(tmp_path)
    write(tmp_path / "RTE", {"train.tsv": ["index\tsentence1\tlabel", "0\tA.\tentailment"]})
    with pytest.raises(SourceError, match="A column `sentence2` is needed"):
        read_glue(tmp_path)
    write(tmp_path / "RTE", {"train.tsv": OFFICIAL["RTE"]["test.tsv"]})
    with pytest.raises(SourceError, match="A column `label` is needed"):
        read_glue(tmp_path)


def test_tasks_that_are_not_there_are_refused(official, tmp_path):
    with pytest.raises(ConfigError, match="no task `SST2` to train. Did you mean `SST-2`"):
        read_glue(official, ("SST2",))
    with pytest.raises(ConfigError, match="no task `AX` to train"):
        read_glue(official, ("AX",))
    with pytest.raises(ConfigError, match=r"no folder of CoLA. Found: \['RTE'\]"):
        read_glue(official / "RTE", ("CoLA",))
    assert is_glue(official) and is_glue(official / "RTE")
    (tmp_path / "CoLA").mkdir()
    assert not is_glue(tmp_path)  # an empty folder of that name is none


def test_a_trained_model_chooses_its_own_tasks(official):
    names = read_glue(official, ("RTE", "STS-B")).label_names
    assert names == ("RTE/entailment", "RTE/not_entailment", "STS-B/score")
    assert read_glue(official, label_names=names).label_names == names
    with pytest.raises(ConfigError, match="no task of GLUE"):
        read_glue(official, label_names=("text/yes", "text/no"))


PARQUET = {
    "cola": {"sentence": ["A."], "label": [1], "idx": [0]},
    "sst2": {"sentence": ["A."], "label": [0], "idx": [0]},
    "mrpc": {"sentence1": ["A."], "sentence2": ["B."], "label": [1], "idx": [0]},
    "qqp": {"question1": ["A."], "question2": ["B."], "label": [1], "idx": [0]},
    "stsb": {"sentence1": ["A."], "sentence2": ["B."], "label": [2.5], "idx": [0]},
    "mnli": {"premise": ["A."], "hypothesis": ["B."], "label": [2], "idx": [0]},
    "qnli": {"question": ["A."], "sentence": ["B."], "label": [1], "idx": [0]},
    "rte": {"sentence1": ["A."], "sentence2": ["B."], "label": [1], "idx": [0]},
    "wnli": {"sentence1": ["A."], "sentence2": ["B."], "label": [1], "idx": [0]},
}


def test_the_parquet_layout_gives_the_same_tasks(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for folder, columns in PARQUET.items():
        (tmp_path / folder).mkdir()
        mnli = ("_matched", "_mismatched") if folder == "mnli" else ("",)
        unlabelled = {**columns, "label": [type(columns["label"][0])(-1)]}
        for stem in ("train", *(f"validation{kind}" for kind in mnli)):
            parquet.write_table(pyarrow.table(columns), tmp_path / folder / f"{stem}-00000-of-00001.parquet")
        for kind in mnli:
            parquet.write_table(
                pyarrow.table(unlabelled), tmp_path / folder / f"test{kind}-00000-of-00001.parquet"
            )
    data = read_glue(tmp_path)
    assert [task.name for task in data.tasks] == sorted(EXPECTED) and not data.problems
    for part in data.sets:
        columns = PARQUET[GLUE_TASKS[part.task].folders[-1]]
        assert part.texts[0] == ("A.", "B.")[: len(part.texts[0])]
        assert (None if part.labels is None else part.labels.tolist()) == (
            None if part.split.startswith("test") else columns["label"]
        )
    assert {part.name for part in data.sets} == {*EXPECTED, "MNLI mismatched"}
