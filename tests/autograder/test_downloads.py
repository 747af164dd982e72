"""Canvas' roster and downloads of Canvas and Moodle: everybody's work lands in its place, and nobody's in another's."""

import json
import zipfile
from pathlib import Path

import pytest

from autograder.controller.downloads import collect, import_canvas_roster
from autograder.controller.record import read_class
from autograder.reports.exports import canvas_csv
from autograder.wire.errors import UsageError
from tests.autograder.classroom import run
from tests.autograder.toy import ADD, TOY, Toy, graded

GRADES = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,A toy (4711)
"    Points Possible",,,,,5
"Archer, Ann",11,u11,ann@example.org,One,
"Baker, Bob",12,u12,bob,One,3
"Öz, Cem",13,,cem,One,
"Öz, Cem",14,,cem2,One,
"Student, Test",99,,test,One,
"""


@pytest.fixture
def course(toy: Toy, tmp_path: Path) -> Toy:
    path = tmp_path / "grades.csv"
    path.write_text(GRADES, encoding="utf-8")
    assert [one.student for one in import_canvas_roster(toy.course, path)] == ["ann", "bob", "cem", "cem2"]
    return toy


def download(tmp_path: Path, files: dict[str, str]) -> Path:
    path = tmp_path / "submissions.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def placed(toy: Toy) -> dict[str, str]:
    return {path.parts[-3]: path.read_text() for path in toy.course.submitted.glob(f"*/{TOY}/{TOY}.ipynb")}


def test_canvas_names_lead_to_their_students_and_the_last_upload_counts(course: Toy, tmp_path: Path) -> None:
    zipped = download(
        tmp_path,
        {
            f"archerann_11_501_{TOY}.ipynb": "ann's first",
            f"archerann_LATE_11_502_{TOY}-2.ipynb": "ann's third",
            f"archerann_11_503_{TOY}-1.ipynb": "ann's second",
            f"bakerbob_12_504_{TOY}.ipynb": "bob's",
            f"strangersam_77_505_{TOY}.ipynb": "nobody's",
            "ozcem_13_506_a91_other.ipynb": "cem's, for no assignment that there is",
            "archerann_11_507_notes.pdf": "no notebook",
            f"__MACOSX/._archerann_11_501_{TOY}.ipynb": "noise",
        },
    )
    found = collect(course.course, TOY, zipped)
    assert placed(course) == {"ann": "ann's third", "bob": "bob's", "cem": "cem's, for no assignment that there is"}
    assert found.late == ["ann"]
    assert len(found.left_out) == 4
    assert found.left_out[f"strangersam_77_505_{TOY}.ipynb"] == "nobody in the roster fits"


@pytest.mark.parametrize("between", ["_/", "_"])
def test_moodle_names_lead_to_their_students_and_two_of_one_name_to_neither(
    course: Toy, tmp_path: Path, between: str
) -> None:
    people = ("Ann Archer", "Bob Baker", "Cem Öz")
    names = [f"{name}_9{n}_assignsubmission_file{between}{TOY}.ipynb" for n, name in enumerate(people)]
    found = collect(course.course, TOY, download(tmp_path, dict(zip(names, people, strict=True))))
    assert placed(course) == {"ann": "Ann Archer", "bob": "Bob Baker"}
    assert found.left_out == {names[2]: "2 in the roster fit"}


def test_several_notebooks_of_one_student_are_left_to_a_person(course: Toy, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked" / "Ann Archer_1_assignsubmission_file_"
    folder.mkdir(parents=True)
    for name in ("one.ipynb", "two.ipynb"):
        (folder / name).write_text("x")
    (folder / "three.ipynb").symlink_to(tmp_path / "grades.csv")
    found = collect(course.course, TOY, folder.parent)
    assert not placed(course)
    assert all("only you know" in reason for reason in found.left_out.values())
    assert len(found.left_out) == 2


def test_a_download_is_graded_and_goes_back_to_canvas_by_its_own_ids(
    course: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(course.course.root)
    work = json.dumps(course.notebook(add=ADD))
    name = f"archerann_11_1_{TOY}.ipynb"
    zipped = download(tmp_path, {name: work})
    assert json.loads(run("collect", TOY, str(zipped), "--json").stdout)["taken"] == {"ann": name}
    assert "1 taken" in run("collect", TOY, str(zipped)).output
    assert "4 in the roster" in run("roster", "grades.csv").output
    graded(course)
    rows = canvas_csv("A toy", read_class(course.course, TOY), 4711).splitlines()
    assert '"Archer, Ann","11","","ann","","2"' in rows
    packed = json.loads(run("feedback-zip", TOY, "--json").stdout)
    assert (packed["included"], packed["left_out"]) == (["ann"], [])
    with zipfile.ZipFile(packed["path"]) as archive:
        assert archive.namelist() == [f"archerann_11_1_{TOY}.html"]
        assert "Addition" in archive.read(archive.namelist()[0]).decode()
    assert "1 students" in run("feedback-zip", TOY).output


def test_what_is_no_roster_or_download_is_said(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "not.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no export of Canvas"):
        import_canvas_roster(toy.course, tmp_path / "not.csv")
    with pytest.raises(UsageError, match="no roster"):
        collect(toy.course, TOY, tmp_path / "not.csv")
    (tmp_path / "up.csv").write_text("Student,ID,SIS Login ID\nUp,5,../../up\n")
    with pytest.raises(UsageError, match="cannot be the name of a folder"):
        import_canvas_roster(toy.course, tmp_path / "up.csv")
