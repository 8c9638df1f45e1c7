"""The closed list of reasons for a fault, each with what a user can do about it."""

from types import MappingProxyType

# Reason code -> what a user can do about it. The codes are a closed list: programs may branch on them.
ADVICE = MappingProxyType(
    {
        "unknown": "",
        # A file as the file system shows it.
        "missing_file": "Check the path, and that relative paths start at the folder of the source.",
        "not_a_file": "Name a regular file; folders, pipes and devices are not read.",
        "no_permission": "Make the file readable for this user.",
        "outside_root": "Move the file under the root of the source; links that leave it are not followed.",
        "zero_length": "Copy or download the file again.",
        # What is inside a media file.
        "not_media": "Check that this is a video or sound file: its content counts, not its name.",
        "refused_format": "Convert to mp4, mkv, webm, mov, avi, wav, flac, mp3, ogg or m4a.",
        "unsupported_codec": "Re-encode the file, for example as H.264 and AAC.",
        "no_audio": "Leave the audio stream out, or supply a file that has sound.",
        "no_video": "Leave the video stream out, or supply a file that has pictures.",
        "no_streams": "Supply a file with sound or pictures.",
        "empty_stream": "The file announces a stream that holds nothing: copy or re-encode it.",
        "truncated": "The file is cut short: copy or download it again.",
        "corrupt": "The file is damaged: copy or download it again.",
        "non_finite": "Write the file again from data without NaN or infinity.",
        "silent": "Every sample is zero: check how the sound was extracted.",
        "not_image": "Check that this is a JPEG, PNG, GIF, BMP or WebP: its content counts, not its name.",
        "too_small": "Remove the file, or supply the picture it stands for.",
        "not_flow": "Supply a .flo, a .pfm of three channels or a PNG of 16 bits as KITTI's.",
        "empty_flow": "Remove the pair, or supply its flow: nothing can be learned from it.",
        "unequal_sizes": "Bring the frames, their flow and its masks to one size.",
        "too_large": "Cut or scale the file down, or raise the limit if you trust it.",
        "timeout": "Try the file alone; raise the deadline if it is merely long.",
        "out_of_memory": "Scale the file down, or raise `max_worker_bytes` if you trust it.",
        "worker_died": "Try the file alone; it may need more memory than there is.",
        # Lists of clips.
        "missing_column": "Add the column to the header of the CSV.",
        "bad_row": "Correct the row.",
        "bad_label": "Use one of the labels of the data set.",
        "bad_time": "Times are seconds, finite, with 0 <= start < end, inside the file.",
        "bad_encoding": "Save the file as UTF-8.",
        "bad_split": "Use the splits train, val and test.",
        "duplicate_id": "List each clip once.",
        "empty_source": "Name a source with usable examples; the README of the task shows the layouts.",
        "too_many_faults": "Mend or remove the files named, or raise `max_bad_fraction`.",
        "unaccounted": "This is a defect in the pipeline, not in your data: please report it.",
        # Shards.
        "incomplete": "Run `zorro-keras prepare` again with the same arguments: it goes on where it stopped.",
        "checksum": "The bytes changed since they were written: remove the shards and prepare again.",
        "bad_record": "Remove the shards and prepare them again.",
        "bad_schema": "The shards come from other settings or another program: prepare them again.",
        "disk_full": "Free some space and run again: finished work is kept.",
        "not_writable": "Choose a folder this user may write to.",
        "locked": "Another process is writing there: wait for it, or choose another folder.",
        # Training.
        "non_finite_loss": "Lower the learning rate, or look at the batch named; the weights are untouched.",
        "bad_checkpoint": "Remove the damaged checkpoint: the one before it is used.",
        "wrong_model": "Use the configuration the weights were made with.",
        "changed_data": "Use the data the run was started with, or start a new run.",
        "bad_input": "Check the names, shapes and types of the streams.",
        "bad_preset": "Save the model again with `save_to_preset`.",
        "stopped": "Give the same command again: it goes on from here.",
        # Configuration and surroundings.
        "unknown_key": "See `--help` for the names.",
        "bad_value": "See `--help` for the values.",
        "missing_dependency": "Install the extra named.",
    }
)
REASONS = frozenset(ADVICE)
