//! What this file system does not do, and the errno that programs know how to live with. The errnos are measured:
//! another one makes some program give up where it would have found another way.

/// The operations, as methods of `impl Filesystem`; a trait cannot be implemented in two files otherwise.
macro_rules! refused_operations {
    () => {
        fn link(
            &self,
            _request: &fuser::Request,
            _ino: fuser::INodeNo,
            _parent: fuser::INodeNo,
            _name: &std::ffi::OsStr,
            reply: fuser::ReplyEntry,
        ) {
            // Programs that would rather link know how to copy after EPERM, and after nothing else.
            reply.error(fuser::Errno::EPERM);
        }

        fn symlink(
            &self,
            _request: &fuser::Request,
            _parent: fuser::INodeNo,
            _name: &std::ffi::OsStr,
            _target: &std::path::Path,
            reply: fuser::ReplyEntry,
        ) {
            reply.error(fuser::Errno::EPERM);
        }

        fn lseek(
            &self,
            _request: &fuser::Request,
            _ino: fuser::INodeNo,
            _fh: fuser::FileHandle,
            _at: i64,
            _whence: i32,
            reply: fuser::ReplyLseek,
        ) {
            // The kernel remembers, and takes the whole file for data.
            reply.error(fuser::Errno::ENOSYS);
        }

        fn copy_file_range(
            &self,
            _request: &fuser::Request,
            _ino_in: fuser::INodeNo,
            _fh_in: fuser::FileHandle,
            _offset_in: u64,
            _ino_out: fuser::INodeNo,
            _fh_out: fuser::FileHandle,
            _offset_out: u64,
            _len: u64,
            _flags: fuser::CopyFileRangeFlags,
            reply: fuser::ReplyWrite,
        ) {
            // The kernel remembers, and programs read and write instead.
            reply.error(fuser::Errno::ENOSYS);
        }

        fn ioctl(
            &self,
            _request: &fuser::Request,
            _ino: fuser::INodeNo,
            _fh: fuser::FileHandle,
            _flags: fuser::IoctlFlags,
            _cmd: u32,
            _in_data: &[u8],
            _out_size: u32,
            reply: fuser::ReplyIoctl,
        ) {
            reply.error(fuser::Errno::ENOTTY);
        }

        fn removexattr(
            &self,
            _request: &fuser::Request,
            _ino: fuser::INodeNo,
            _name: &std::ffi::OsStr,
            reply: fuser::ReplyEmpty,
        ) {
            reply.error(fuser::Errno::EOPNOTSUPP);
        }

        fn listxattr(&self, _request: &fuser::Request, _ino: fuser::INodeNo, size: u32, reply: fuser::ReplyXattr) {
            if size == 0 { reply.size(0) } else { reply.data(&[]) }
        }
    };
}
