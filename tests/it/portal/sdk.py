"""The whole life of files on a DocSpace 3.7 portal, through the vendor's own SDK (docspace-api-sdk 3.7.0).

Usage: sdk.py URL USER PASSWORD

Ends with 0 when everything was as the SDK, and this script, expect it. The SDK checks the types of every answer.
"""

import hashlib
import json
import os
import sys
import time
import urllib.request
import warnings
from concurrent.futures import ThreadPoolExecutor

# The SDK's models shadow names of their base class, which is the vendor's affair.
warnings.filterwarnings("ignore", category=UserWarning)

import docspace_api_sdk as sdk  # noqa: E402
from docspace_api_sdk.api.authentication.authentication_api import AuthenticationApi  # noqa: E402
from docspace_api_sdk.api.files.files_api import FilesApi  # noqa: E402
from docspace_api_sdk.api.files.folders_api import FoldersApi  # noqa: E402
from docspace_api_sdk.api.files.operations_api import OperationsApi  # noqa: E402
from docspace_api_sdk.api.files.settings_api import SettingsApi  # noqa: E402

POLLS_MAX = 500
POLL_S = 0.01
THREADS = 4


def raw(answer):
    """What stands in `response`: the SDK's types drop what they do not know, ids among it."""
    return json.loads(answer.raw_data)["response"]


def api_client(url, **keys):
    configuration = sdk.Configuration(host=url, **keys)
    return sdk.ApiClient(configuration)


def sign_in(url, user, password):
    request = sdk.AuthRequestsDto(user_name=user, password=password)
    answer = AuthenticationApi(api_client(url)).authenticate_me(auth_requests_dto=request)
    assert answer.response.token
    return answer.response.token


def finish(operations, started):
    """Polls an operation until it is over, or is not reported any more."""
    (operation,) = started.response
    for _ in range(POLLS_MAX):
        listed = operations.get_operation_statuses(id=operation.id).response
        if not listed or listed[0].finished:
            assert not listed or not listed[0].error, listed
            return
        time.sleep(POLL_S)
    raise AssertionError("the operation does not end")


class Portal:
    def __init__(self, url, user, password):
        self.token = sign_in(url, user, password)
        client = api_client(url)
        # As a header of every request: the SDK sends no token where an address is open to strangers, too.
        client.set_default_header("Authorization", f"Bearer {self.token}")
        self.files, self.folders = FilesApi(client), FoldersApi(client)
        self.operations, self.settings = OperationsApi(client), SettingsApi(client)
        self.chunk = raw(self.settings.get_files_settings_with_http_info())["chunkUploadSize"]

    def upload(self, folder, title, content):
        """In parallel chunks, the last one first; the finished file."""
        request = sdk.SessionRequest(file_name=title, file_size=len(content), create_new_if_exist=True)
        session = self.operations.create_upload_session_in_folder(folder_id=folder, session_request=request).response
        assert session.bytes_total == len(content)
        parts = [content[at:at + self.chunk] for at in range(0, len(content), self.chunk)]

        def send(number):
            answer = self.operations.upload_async_session(
                folder_id=folder, session_id=session.id, chunk_number=number, file=("blob", parts[number - 1]))
            assert answer.response.id == session.id

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(send, range(len(parts), 0, -1)))
        answer = self.operations.finalize_session_with_http_info(folder_id=folder, session_id=session.id)
        assert answer.status_code == 201, answer.status_code
        made = raw(answer)
        assert made["uploaded"] and made["file"]["pureContentLength"] == len(content), made
        return made["file"]

    def upload_in_sequence(self, folder, title, content):
        request = sdk.SessionRequest(file_name=title, file_size=len(content))
        session = self.operations.create_upload_session_in_folder(folder_id=folder, session_request=request).response
        for at in range(0, len(content), self.chunk):
            answer = self.operations.upload_session_with_http_info(
                folder_id=folder, session_id=session.id, file=("blob", content[at:at + self.chunk]))
        assert answer.status_code == 201 and raw(answer)["uploaded"]
        return raw(answer)["file"]

    def download(self, file):
        request = urllib.request.Request(file["viewUrl"], headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def titles(self, folder):
        listed = raw(self.folders.get_folder_by_folder_id_with_http_info(
            folder_id=folder, count=100, start_index=0, sort_by="AZ", with_sub_folders=False))
        assert listed["total"] == len(listed["files"]) + len(listed["folders"])
        return [entry["title"] for entry in listed["folders"] + listed["files"]]


def main(url, user, password):
    portal = Portal(url, user, password)
    mine = raw(portal.folders.get_my_folder_with_http_info())["current"]["id"]
    outer = raw(portal.folders.create_folder_with_http_info(mine, sdk.CreateFolder(title="outer")))["id"]
    inner = raw(portal.folders.create_folder_with_http_info(outer, sdk.CreateFolder(title="inner")))["id"]

    content = os.urandom(3 * portal.chunk + 12345)
    digest = hashlib.sha256(content).hexdigest()
    big = portal.upload(outer, "Big File.BIN", content)
    assert big["title"] == "Big File.bin" and big["version"] == 1, big
    assert hashlib.sha256(portal.download(big)).hexdigest() == digest

    twin = portal.upload(outer, "Big File.bin", content[:portal.chunk])
    assert twin["title"] == "Big File (1).bin", twin["title"]
    small = portal.upload_in_sequence(outer, "small.txt", b"small")
    again = portal.upload_in_sequence(outer, "small.txt", content[:2 * portal.chunk])
    assert (again["id"], again["version"]) == (small["id"], 2), again
    assert portal.titles(outer) == ["inner", "Big File (1).bin", "Big File.bin", "small.txt"], portal.titles(outer)

    renamed = raw(portal.files.update_file_with_http_info(big["id"], sdk.UpdateFile(title="renamed.txt", last_version=0)))
    assert renamed["title"] == "renamed.txt.bin", renamed["title"]
    info = portal.files.get_file_info(big["id"]).response
    assert (info.title, info.pure_content_length) == ("renamed.txt.bin", len(content)), info

    given_up = sdk.SessionRequest(file_name="never.bin", file_size=5 * portal.chunk)
    session = portal.operations.create_upload_session_in_folder(folder_id=outer, session_request=given_up).response
    portal.operations.abort_upload_session(folder_id=outer, session_id=session.id)

    move = sdk.BatchRequestDto.from_dict(
        {"fileIds": [big["id"]], "destFolderId": inner, "conflictResolveType": "Skip", "returnSingleOperation": True})
    finish(portal.operations, portal.operations.move_batch_items(move))
    assert portal.titles(inner) == ["renamed.txt.bin"], portal.titles(inner)
    assert portal.download(big) == content

    delete = sdk.Delete(delete_after=False, immediately=True)
    finish(portal.operations, portal.files.delete_file(twin["id"], delete, return_single_operation=True))
    assert portal.titles(outer) == ["inner", "small.txt"], portal.titles(outer)
    print(digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
