"""The workflows of GitHub: what actionlint says of them, what they call, and what a pull request can reach."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def triggers(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text())[True]  # YAML reads `on` as a truth value
    return found if isinstance(found, dict) else dict.fromkeys([found] if isinstance(found, str) else found)


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


def test_actionlint_passes_and_would_see_a_mistake(tmp_path: Path) -> None:
    tool = Path(sys.executable).with_name("actionlint")
    if not tool.exists():
        pytest.skip("no actionlint beside this Python")
    done = subprocess.run(
        [tool, "-config-file", ROOT / ".github/actionlint.yaml", *FILES], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    planted = tmp_path / "planted.yml"
    planted.write_text(FILES[0].read_text().replace("inputs.assignment", "inputs.assigment"))
    assert subprocess.run([tool, planted], capture_output=True).returncode == 1


def test_there_are_workflows_for_tests_site_release_and_grading() -> None:
    assert [path.stem for path in FILES] == ["grade", "release", "site", "tests"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_pull_request_of_a_stranger_reaches_no_secret_no_machine_of_ours_and_may_write_nothing(path: Path) -> None:
    text, document = path.read_text(), yaml.safe_load(path.read_text())
    assert document["permissions"] == {"contents": "read"}
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & triggers(path).keys()
    if "pull_request" in triggers(path):
        assert "secrets." not in text
        assert "self-hosted" not in text
        assert not any("permissions" in job for job in document["jobs"].values())
    if "self-hosted" in text:
        assert set(triggers(path)) == {"workflow_dispatch"}
        assert all(job["if"] == "github.event.repository.private" for job in document["jobs"].values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_that_others_wrote_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step


def test_the_artefact_of_grading_holds_feedback_pages_alone() -> None:
    grading = steps(ROOT / ".github" / "workflows" / "grade.yml")
    uploads = [step["with"]["path"] for step in grading if "upload" in step.get("uses", "")]
    assert uploads == ["${{ vars.COURSE_FOLDER }}/_build/feedback/${{ inputs.assignment }}"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_workflow_calls_is_there(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for step in steps(path):
        script = step.get("run", "")
        for called in re.findall(r"(?:^|&& )make ([a-z -]+)", script):
            assert set(called.split()) <= targets, called
        for file in re.findall(r"(?:python|bash) ([\w./]+\.py|\.ci/\w+)", script):
            assert (ROOT / file).is_file(), file


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_a_class_is_collected_and_nothing_of_a_repository_runs_or_leads_outside(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from collect_repositories import collect
    finally:
        sys.path.pop(0)

    def repository(name: str, **files: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for file, content in files.items():
            path = folder / file.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(content[1:]) if content.startswith(">") else path.write_text(content)
        commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "work"]
        for words in (["init", "--quiet"], ["add", "."], commit):
            subprocess.run(["git", "-C", folder, *words], check=True)
        return folder

    secret = tmp_path / "secret"
    secret.write_text("the course's secret")
    places = {
        "ann": repository("one", **{"a04_x.ipynb": "ann's"}),
        "bob": repository("two", **{"a04_x__a04_x.ipynb": "bob's"}),
        "cas": repository("three", **{"a04_x.ipynb": f">{secret}"}),
        "dee": repository("four", **{"readme": "nothing"}),
        "eve": f"ext::sh -c touch% {tmp_path}/ran",
        "fay": "--upload-pack=touch ran",
        "gus": tmp_path / "nowhere",
    }
    listed = tmp_path / "class.csv"
    listed.write_text("# student,repository\n" + "".join(f"{who},{where}\n" for who, where in places.items()))
    missing = collect("a04_x", listed, tmp_path / "submitted")
    assert missing.keys() == {"cas", "dee", "eve", "fay", "gus"}
    assert "link" in missing["cas"]
    collected = {path.parts[-3]: path.read_text() for path in (tmp_path / "submitted").glob("*/*/*")}
    assert collected == {"ann": "ann's", "bob": "bob's"}
    assert not (tmp_path / "ran").exists()
    (tmp_path / "bad.csv").write_text("../../up,somewhere\n")
    with pytest.raises(SystemExit, match="should be student,repository"):
        collect("a04_x", tmp_path / "bad.csv", tmp_path / "submitted")
